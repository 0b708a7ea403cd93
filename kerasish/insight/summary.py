"""A model as a table: its modules, their output shapes, parameters and bytes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor

from kerasish.checks import check_count
from kerasish.containers import Graph, Sequential
from kerasish.containers.wiring import forward_order
from kerasish.insight.profile_report import Profile, check_profile
from kerasish.insight.table import in_units, ruled, wrapped
from kerasish.insight.wording import shape_in_words, title_of
from kerasish.losses import Loss
from kerasish.losses.several import NoLoss, OutputLosses
from kerasish.metrics.named import OfOutput
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import joined, values, walk

_HEAD = ("Layer", "Output shape", "Parameters", "Bytes", "Trainable")
_TIMES = ("Forward ms", "dx ms", "dW ms", "Share")
_LONGEST = 100


def summary(
    model: Any,
    expand_nested: bool = True,
    show_trainable: bool | None = None,
    line_length: int | None = None,
    profile: Profile | None = None,
) -> str:
    """The table of `model.summary()`, which describes the arguments, as text.

    Shapes are shown with N for the batch; a model that is not built yet shows "?".

    Raises: ValueError for lines of less than 60 characters, and for another model's profile;
        TypeError for what is no profile.
    """
    longest = _LONGEST if line_length is None else check_count(
        "Model.summary(line_length)", line_length, 60, "80 is a usual length.")
    root = model.module
    if show_trainable is None:
        show_trainable = not all(each.trainable for each in [*root.modules(), *root.parameters()])
    found = list(_Tree(root, expand_nested).rows())
    rows = [_cells(row, root) for row in found]
    totals = _totals(model)
    cells = [row if show_trainable else row[:-1] for row in (_HEAD, *rows, *totals)]
    if profile is not None:
        cells = _with_times(cells, found, _checked(profile, root))
    end = 1 + len(rows)
    lines = ruled([cells[:1], cells[1:end], cells[end:]], longest)
    sentences = [*_compiled(model), *(profile.totals() if profile else ())]
    return "\n".join([*lines, *(line for text in sentences for line in wrapped(text, longest))])


def print_summary(
    model: Any,
    expand_nested: bool = True,
    show_trainable: bool | None = None,
    print_fn: Callable[[str], Any] | None = None,
    line_length: int | None = None,
    profile: Profile | None = None,
) -> None:
    """Prints the summary, or gives each of its lines to print_fn.

    Raises: TypeError if that is no function.
    """
    if print_fn is not None and not callable(print_fn):
        raise TypeError(f"Model.summary(print_fn) expects a function of a line; got {print_fn!r}. "
                        "logging.info, for instance, is one.")
    text = summary(model, expand_nested, show_trainable, line_length, profile)
    for line in text.splitlines():
        (print_fn or print)(line)


class _Row(NamedTuple):
    """A module in the table."""

    name: str
    module: Module
    parameters: list[Parameter]
    """Those that are counted here: each is counted in one row."""
    is_frame: bool
    """Whether it only holds the modules of the rows below it."""
    covered: list[str]
    """The paths of the modules that it stands for: its own, and what it folds."""


class _Tree:
    """The rows of a module and of those below it, each once.

    Args:
        root: what the table is about.
        expands: whether containers below it show what they hold.
    """

    def __init__(self, root: Module, expands: bool) -> None:
        self.root, self.expands = root, expands
        self.counted: dict[int, str] = {}
        self.places: dict[int, list[str]] = {}
        self.calls: Counter[int] = Counter()
        for path, module in walk(root):
            self.places.setdefault(id(module), []).append(path)
        for module in root.modules():
            if isinstance(module, Graph):
                nodes = forward_order(module.inputs, module.outputs)
                self.calls.update(id(node.module) for node in nodes)

    def rows(self) -> Iterator[_Row]:
        """A plain Sequential on top is left out: it is the table."""
        own = any(values(self.root, Parameter))
        if isinstance(self.root, Sequential) and not own and len(self.root):
            for path, child in self.root.named_children():
                yield from self._below(path, child, 0)
        else:
            yield from self._below("", self.root, 0)

    def _below(self, path: str, module: Module, depth: int) -> Iterator[_Row]:
        if path != self.places[id(module)][0]:
            return
        children = list(module.named_children())
        folds = bool(children) and not self.expands and module is not self.root
        marks = self._marks(path, module)
        found, covered = list(self._own(path, module)), [path]
        for below, part in module.named_modules(path) if folds else ():
            found += self._own(below, part)
            covered.append(self.places[id(part)][0])
        name = f"{path} {title_of(module)}{marks}".strip()
        frames = bool(children) and not folds and not found
        yield _Row("  " * depth + name, module, found, frames, covered)
        for name, child in () if folds else children:
            yield from self._below(joined(path, name), child, depth + 1)

    def _own(self, path: str, module: Module) -> Iterator[Parameter]:
        """The parameters of a module that no row before counts."""
        for name, parameter in values(module, Parameter):
            if id(parameter) not in self.counted:
                self.counted[id(parameter)] = joined(path, name)
                yield parameter

    def _marks(self, path: str, module: Module) -> str:
        """What it shares, in words."""
        others = [place for place in self.places[id(module)] if place != path]
        elsewhere = {self.counted[id(each)] for _, each in values(module, Parameter)
                     if id(each) in self.counted}
        marks = [f"also at {', '.join(others)}"] if others else []
        if self.calls[id(module)] > 1:
            marks.append(f"called {self.calls[id(module)]} times")
        shared = [f"shared, {' and '.join(marks)}"] if marks else []
        if elsewhere:
            shared.append(f"shares {', '.join(sorted(elsewhere))}")
        return f" ({'; '.join(shared)})" if shared else ""


def _cells(row: _Row, root: Module) -> tuple[str, ...]:
    shape = shape_in_words(row.module.output_shape if row.module.built else None)
    if row.is_frame:
        return row.name, shape, "", "", ""
    parameters, size = _counts(root.built, row.parameters)
    return row.name, shape, parameters, size, _trains(row)


def _checked(profile: Any, root: Module) -> Profile:
    paths = [path for path, _ in root.named_modules()]
    return check_profile("Model.summary(profile)", profile, paths)


def _with_times(
    cells: list[tuple[str, ...]], rows: list[_Row], profile: Profile
) -> list[tuple[str, ...]]:
    """The cells with a module's times behind them, and in the first row of totals all modules'."""
    everywhere = (row.path for row in profile.rows if row.path is not None)
    times = [_TIMES, *(profile.columns(row.covered) for row in rows), profile.columns(everywhere)]
    times += [("",) * len(_TIMES)] * (len(cells) - len(times))
    return [cell + time for cell, time in zip(cells, times, strict=True)]


def _trains(row: _Row) -> str:
    """Whether its parameters are trained; empty if it has none."""
    if not row.module.built:
        return "?" if row.module.trainable else "no"
    trained = {each.trainable for each in row.parameters}
    return "partly" if len(trained) > 1 else "".join("yes" if each else "no" for each in trained)


def _counts(built: bool, parameters: Iterable[Parameter]) -> tuple[str, str]:
    if not built:
        return "?", "?"
    return _size(each.data for each in parameters)


def _size(tensors: Iterable[Tensor]) -> tuple[str, str]:
    held = list(tensors)
    return f"{sum(each.numel() for each in held):,}", in_units(sum(each.nbytes for each in held))


def _totals(model: Any) -> list[tuple[str, ...]]:
    """What all parameters come to, and what is kept beside them."""
    module, built = model.module, model.built
    parameters, buffers = list(module.parameters()), list(module.buffers())
    trained = [each for each in parameters if each.trainable]
    frozen = [each for each in parameters if not each.trainable]
    rows = [("Total", *_counts(built, parameters)), ("Trainable", *_counts(built, trained)),
            ("Non-trainable", *_counts(built, frozen))]
    if buffers:
        rows.append(("Buffers", *_size(buffers)))
    if model.compiled:
        rows.append(_of_optimizer(model.optimizer))
    return [(name, "", parameters, size, "") for name, parameters, size in rows]


def _of_optimizer(optimizer: Any) -> tuple[str, str, str]:
    """What it keeps for each parameter: never part of the total."""
    name = f"Optimizer ({', '.join(optimizer.kept)})" if optimizer.kept else "Optimizer"
    if not optimizer.built:
        return name, "", "?"
    size = sum(each.data.nbytes for each in optimizer.parameters)
    return name, "", in_units(size * len(optimizer.kept))


def _compiled(model: Any) -> list[str]:
    if not model.compiled:
        return ["Not compiled yet."]
    lines = [f"Optimizer: {model.optimizer!r}", f"Loss: {_loss(model.loss)}"]
    weighted = {name: model.metrics[name] for name in model.weighted_names}
    plain = {name: each for name, each in model.metrics.items() if name not in weighted}
    for title, metrics in (("Metrics", plain), ("Weighted metrics", weighted)):
        if metrics:
            shown = (f"{name} = {metric.metric if isinstance(metric, OfOutput) else metric!r}"
                     for name, metric in metrics.items())
            lines.append(f"{title}: {', '.join(shown)}")
    return lines


def _loss(loss: Loss) -> str:
    if isinstance(loss, NoLoss):
        return "what train_step says"
    if not isinstance(loss, OutputLosses):
        return repr(loss)
    return " + ".join(f"{'' if part.weight == 1 else f'{part.weight:g} '}{part.name}: {part.loss!r}"
                      for part in loss.parts)
