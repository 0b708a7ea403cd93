"""What `Model.profile` found, as rows, as a table and as columns for `Model.summary`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kerasish.checks import check_choice
from kerasish.insight.table import in_units, ruled, wrapped

_HEAD = ("Layer", "Calls", "Forward ms", "dx ms", "dW ms", "All ms", "Share", "Live after y",
         "Live after dx")
_LONGEST, _TEXTS = 120, 1
_NUMBERS = ("calls", "forward_ms", "dx_ms", "dw_ms", "ms", "share", "live_after_forward",
            "live_after_backward")


@dataclass(frozen=True)
class ProfileRow:
    """A module in one step, without the modules below it; or what a step does besides."""

    name: str
    """The path and the module; or "Loss", "Update", "Metrics and loop"."""
    path: str | None
    """Its first place in the net, "" for the whole; None for what is no module."""
    calls: int
    """How often its forward runs in a step."""
    forward_ms: float
    """Milliseconds of all these calls."""
    dx_ms: float
    """Milliseconds for the gradient of its input."""
    dw_ms: float
    """Milliseconds for the gradients of its parameters."""
    ms: float
    """All of these."""
    share: float
    """Of the modules, the loss, the update and the loop together; from 0 to 1."""
    live_after_forward: int | None = None
    """Bytes of tensors that are alive when its forward ends; of several calls, the most."""
    live_after_backward: int | None = None
    """The same when its backward ends; None if that does not run."""


class Profile:
    """The time and the memory of one training step, module by module.

    Args:
        rows: the modules in the order of the net, then loss, update, and metrics and loop.
        step_ms: milliseconds of a step as fit runs it.
        repeats: rounds that medians are of.
        peak_bytes: the most bytes that are alive in a step as fit runs it.
        apart_peak_bytes: the same where modules run one by one.
        apart_peak_at: what runs then.
    """

    def __init__(self, rows: Iterable[ProfileRow], step_ms: float, repeats: int, peak_bytes: int,
                 apart_peak_bytes: int, apart_peak_at: str) -> None:
        self.rows = list(rows)
        self.step_ms, self.repeats, self.peak_bytes = step_ms, repeats, peak_bytes
        self.apart_peak_bytes, self.apart_peak_at = apart_peak_bytes, apart_peak_at

    @property
    def apart_ms(self) -> float:
        """Milliseconds of a step whose modules run one by one: the sum of the rows."""
        return sum(row.ms for row in self.rows)

    def sorted(self, by: str = "ms") -> list[ProfileRow]:
        """The rows with the largest first.

        Raises: ValueError for what no row has a number of.

        Args:
            by: "ms", "forward_ms", "dx_ms", "dw_ms", "share", "calls", "live_after_forward" or
                "live_after_backward".
        """
        name = check_choice("Profile.sorted(by)", by, _NUMBERS)
        return sorted(self.rows, key=lambda row: -(getattr(row, name) or 0))

    def print(self, sort_by: str | None = None) -> None:
        """Prints the table, in the order of the net or as `sorted(sort_by)`."""
        rows = self.rows if sort_by is None else self.sorted(sort_by)
        print("\n".join(self._lines(rows)))

    def __str__(self) -> str:
        return "\n".join(self._lines(self.rows))

    def __repr__(self) -> str:
        return f"<Profile of {len(self.rows)} rows: {self._shown(self.step_ms)} ms a step>"

    def columns(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Forward, dx, dW and share of the modules at these paths together, as text."""
        wanted = set(paths)
        rows = [row for row in self.rows if row.path in wanted]
        times = [sum(part) for part in zip(*map(_parts, rows), strict=True)] or [0.0] * 3
        share = sum(row.share for row in rows)
        return (*map(self._shown, times), f"{share:.1%}")

    def totals(self) -> list[str]:
        """Sentences on the whole step: its time and its peak of memory."""
        return [
            f"A step as fit runs it takes {self._shown(self.step_ms)} ms; with its modules one by "
            f"one, activations apart, {self._shown(self.apart_ms)} ms, which shares are of. "
            f"Medians of {self.repeats} rounds.",
            f"At most {in_units(self.peak_bytes)} of tensors are alive as fit runs it; one by one "
            f"{in_units(self.apart_peak_bytes)}, in {self.apart_peak_at or 'the loop'}. Weights, "
            "gradients, optimizer and batch are counted; what kernels need while they run is not.",
        ]

    def _lines(self, rows: list[ProfileRow]) -> list[str]:
        lines = ruled([[_HEAD], [*map(self._cells, rows)], []], _LONGEST, _TEXTS)
        return [*lines, *(line for text in self.totals() for line in wrapped(text, len(lines[-1])))]

    def _cells(self, row: ProfileRow) -> tuple[str, ...]:
        parts = map(self._shown, _parts(row)) if row.path is not None or row.dx_ms else ("",) * 3
        calls = "" if row.path is None else str(row.calls)
        live = (_bytes(row.live_after_forward), _bytes(row.live_after_backward))
        return row.name, calls, *parts, self._shown(row.ms), f"{row.share:.1%}", *live

    def _shown(self, ms: float) -> str:
        """With as many places as show a thousandth of a step."""
        places = 3 - math.floor(math.log10(max(self.apart_ms, 1e-3)))
        return f"{ms:.{min(max(places, 0), 4)}f}"


def _parts(row: ProfileRow) -> tuple[float, float, float]:
    return row.forward_ms, row.dx_ms, row.dw_ms


def _bytes(size: int | None) -> str:
    return "" if size is None else in_units(size)


def check_profile(who: str, value: Any, paths: Iterable[str]) -> Profile:
    """Hands a profile back if it is one, of a net with these paths.

    Raises: TypeError or ValueError for anything else.
    """
    if not isinstance(value, Profile):
        raise TypeError(f"{who} expects what Model.profile returns; got {value!r}. Write "
                        "profile=model.profile(x, y).")
    own = {row.path for row in value.rows if row.path is not None}
    strange = sorted(own.symmetric_difference(paths))
    if strange:
        raise ValueError(f"{who} expects a profile of this model; got one of another, as only one "
                         f"of them has {strange[0]!r}. Write profile=model.profile(x, y).")
    return value
