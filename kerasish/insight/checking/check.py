"""Proves the gradients of a model and its loss on a batch: every parameter, and the input."""

import math
from typing import Any, NamedTuple

import torch

from kerasish.checks import check_count, check_positive
from kerasish.differences import doubled
from kerasish.insight.batch import ready_batch, require_loss
from kerasish.insight.checking.comparing import FAIL, HIDDEN, KINK, Verdict, verdicts
from kerasish.insight.checking.culprit import culprit
from kerasish.insight.checking.probes import WholeProbe
from kerasish.insight.table import ruled
from kerasish.insight.twin import twin
from kerasish.module import Module
from kerasish.random import check_seed
from kerasish.trees import mapped

_HEAD = ("Gradient of", "Shape", "backward", "differences", "error", "worst element",
         "backward", "differences", "result")
_FROZEN = "frozen"
_LONGEST = 120


class CheckRow(NamedTuple):
    """What is found for one parameter, or for an input."""

    path: str
    """"0.weight"; "x", "x[0]" or "x['a']" for inputs."""
    shape: tuple[int, ...]
    result: str
    """"pass", "FAIL", "kink", "too small to tell", or "frozen" for what is not trained."""
    backward: float = 0.0
    """The derivative along a random direction through all elements, as backward gives it."""
    difference: float = 0.0
    """The same by finite differences."""
    error: float = 0.0
    """How far they are apart, as a share of what is usual for the tensor."""
    worst: tuple[int, ...] | None = None
    """The element that is furthest off among those looked at."""
    worst_backward: float = 0.0
    worst_difference: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it; what is too small to tell proves nothing."""
        return self.result not in (FAIL, HIDDEN)


class CheckReport(NamedTuple):
    """What `Model.check` has found; prints as a table."""

    rows: list[CheckRow]
    culprit: str = ""
    """The first that is wrong on the way back, "3 ReLU(), dx"; empty if none is."""

    @property
    def passed(self) -> bool:
        """Whether each gradient is right."""
        return all(row.passed for row in self.rows)

    def __repr__(self) -> str:
        right = sum(row.passed for row in self.rows)
        return f"<CheckReport of {len(self.rows)} rows: {right} passed>"

    def __str__(self) -> str:
        lines = ruled([[_HEAD], [*map(_cells, self.rows)], []], _LONGEST)
        return "\n".join([*lines, *self._conclusions()])

    def _conclusions(self) -> list[str]:
        checked = [row for row in self.rows if row.result != _FROZEN]
        right = sum(row.passed for row in checked)
        results = {row.result for row in checked}
        told = [f"{right} of {len(checked)} gradients are right."]
        if FAIL in results:
            told.append(f"First wrong on the way back: {self.culprit}.")
        if HIDDEN in results:
            told.append(f"{HIDDEN}: the loss is so large that its rounding hides what such a "
                        "gradient does to it. Scale x and y down.")
        if KINK in results:
            told.append("kink: here the function has one slope on each side, and no derivative; "
                        "backward is right close by.")
        return told


def check(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    tolerance: float = 1e-6,
    elements: int = 1,
    seed: int = 0,
) -> CheckReport:
    """What `Model.check` does, which describes the arguments."""
    check_positive("Model.check(tolerance)", tolerance, "1e-6 is usual.")
    check_count("Model.check(elements)", elements, 1, "1 is usual.")
    check_seed("Model.check", seed)
    require_loss("Model.check", model)
    with twin(model) as copied:
        batch = ready_batch(copied, "check", x, y, sample_weight)
        batch = tuple(mapped(doubled, part) for part in batch)
        copied.module = _in_float64(copied.module)
        copied._penalties_at = -1
        probe = WholeProbe(copied, batch, seed)
        found = list(verdicts(probe, tolerance, elements, seed))
        rows = _rows(copied.module, found)
        if all(row.result != FAIL for row in rows):
            return CheckReport(rows)
        if not math.isfinite(value := probe()):
            return CheckReport(rows, f"unknown, as the loss is {value}: there is nothing to "
                               "compare. callbacks.NanTracer tells where that begins")
        return CheckReport(rows, culprit(probe, tolerance))


def _in_float64(module: Module) -> Module:
    """A copy outside the flat vectors, in training mode."""
    with twin(module) as copied:
        loose: Module = copied.to("cpu", torch.float64).train()
        return loose


def _rows(module: Module, found: list[Verdict]) -> list[CheckRow]:
    """In the order of the parameters, those that are frozen too; inputs come last."""
    by_name = {each.part.name: each for each in found}
    rows = []
    for path, parameter in module.named_parameters():
        if parameter.trainable:
            rows.append(_row(by_name.pop(path)))
        else:
            rows.append(CheckRow(path, tuple(parameter.shape), _FROZEN))
    return rows + [_row(each) for each in by_name.values()]


def _row(found: Verdict) -> CheckRow:
    whole, worst = found.whole, found.worst
    row = CheckRow(found.part.name, tuple(found.part.values.shape), found.result, whole.backward,
                   whole.difference, whole.error)
    if worst is None:
        return row
    return row._replace(worst=worst.place, worst_backward=worst.backward,
                        worst_difference=worst.difference, error=max(whole.error, worst.error))


def _cells(row: CheckRow) -> tuple[str, ...]:
    shape = str(row.shape)
    if row.result == _FROZEN:
        return row.path, shape, "", "", "", "", "", "", row.result
    element = ("", "", "")
    if row.worst is not None:
        element = (str(row.worst), _number(row.worst_backward), _number(row.worst_difference))
    return (row.path, shape, _number(row.backward), _number(row.difference), f"{row.error:.0e}",
            *element, row.result)


def _number(value: float) -> str:
    return f"{value:.6g}"
