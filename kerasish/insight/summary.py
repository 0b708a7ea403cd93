"""A model as a table: its modules, their output shapes, parameters and bytes."""

from typing import Any

from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.trees import is_shape

_HEAD = ("Layer", "Output shape", "Parameters", "Bytes")


def summary(model: Any) -> str:
    """The table of `model.summary()` as text, with what it is compiled with below.

    Shapes are shown with N for the batch; a model that is not built yet shows "?".
    """
    rows = [_HEAD, *_rows(model.module)]
    parameters = list(model.module.parameters())
    total = sum(p.data.numel() for p in parameters)
    trainable = sum(p.data.numel() for p in parameters if p.trainable)
    size = sum(p.data.nbytes for p in parameters)
    rows.append(("Total", "", *_counts(model.built, total, size)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    rule = "-" * max(map(len, lines))
    table = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
    if total != trainable:
        table.append(f"Trainable: {trainable:,} parameters")
    return "\n".join(table + _compiled(model))


def _rows(module: Module) -> list[tuple[str, str, str, str]]:
    """A row for each leaf, and for what has parameters of its own besides those of its parts."""
    return [_row(path, part) for path, part in module.named_modules()
            if not any(part.children()) or _own_parameters(part)]


def _own_parameters(module: Module) -> list[Parameter]:
    below = {id(p) for child in module.children() for p in child.parameters()}
    return [p for p in module.parameters() if id(p) not in below]


def _row(path: str, module: Module) -> tuple[str, str, str, str]:
    shape = _shown(module.output_shape) if module.built else "?"
    count = sum(p.data.numel() for p in _own_parameters(module))
    size = sum(p.data.nbytes for p in _own_parameters(module))
    name = f"{path} {module!r}".strip()
    return name, shape, *_counts(module.built, count, size)


def _shown(shape: Any) -> str:
    """A shape with N for the batch, or several in their structure."""
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{name}: {_shown(part)}" for name, part in shape.items()) + "}"
    if is_shape(shape):
        return f"(N, {', '.join(map(str, shape))})"
    return f"({', '.join(map(_shown, shape))})"


def _counts(built: bool, parameters: int, size: int) -> tuple[str, str]:
    return (f"{parameters:,}", f"{size:,}") if built else ("?", "?")


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    return left + [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]


def _compiled(model: Any) -> list[str]:
    if not model.compiled:
        return ["Not compiled yet."]
    shown = ", ".join(f"{name} = {metric!r}" for name, metric in model.metrics.items())
    lines = [f"Optimizer: {model.optimizer!r}", f"Loss: {model.loss!r}"]
    return lines + ([f"Metrics: {shown}"] if shown else [])
