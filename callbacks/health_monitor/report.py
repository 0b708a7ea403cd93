"""What was measured, as a table."""

from collections.abc import Sequence

from kerasish.insight.table import ruled

from .alarm import percent, times
from .numbers import Numbers

_HEAD = ("Layer", "Class", "Silent", "Saturated", "Gradient", "Weights", "Update")
_LONGEST = 100
_NOTHING = "HealthMonitor has looked at nothing yet: it does after `every` steps of a fit."


def report(numbers: Sequence[Numbers]) -> str:
    """The table of `HealthMonitor.report()`, as text: a line a module, "" for what has no number.

    Gradient and Weights are norms, Update is the share of the weights that an update changes.
    """
    if not numbers:
        return _NOTHING
    return "\n".join(ruled([[_HEAD], [*map(_cells, numbers)]], _LONGEST))


def _cells(each: Numbers) -> tuple[str, ...]:
    share = percent(each.share) if each.units else ""
    silent, saturated = (share if each.kind == kind else "" for kind in ("silent", "saturated"))
    return (each.path, each.name, silent, saturated,
            times(each.gradient) if each.gradients else "",
            times(each.weight) if each.weights else "",
            percent(each.ratio) if each.ratios else "")
