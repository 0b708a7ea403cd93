"""What a step takes, as numbers and as a table; and how large a batch may be."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kerasish.insight.table import in_units, ruled, wrapped
from kerasish.insight.units import in_bytes
from kerasish.types import Shape

_LONGEST = 110
_HEAD = ("Layer", "Output shape", "Parameters", "Saved", "Workspace", "In forward", "In backward")
_ALONE = ("Rows without bytes are of modules that are not called by themselves: the layer before "
          "an activation runs it, for instance.")
_MOST = 10**15
"""Samples: more than any memory holds."""


class Row(NamedTuple):
    """What a module takes, in bytes."""

    name: str
    """Its path and its class."""
    output_shape: Shape
    """Without the batch axis."""
    parameters: int
    saved: int
    """What it keeps for its backward; of what several keep, the first one. A module whose kernels
    the one before it runs keeps nothing."""
    workspace: int
    """What lives only inside one of its calls, at most: neither given to it nor left by it."""
    forward: int
    """All that is alive in the whole step, at most, while its forward runs."""
    backward: int
    """The same for its backward."""


class MemoryPlan:
    """The memory that a step takes: all in bytes.

    Args:
        batch_size: samples in the batch.
        training: whether the step is one of training, or of prediction.
        sizes: the bytes of each kind, by the names of the attributes here.
        peak_at: what goes on when most is alive: "backward of 3 Conv2d", for instance.
        rows: one for each module.
        least: the smallest batch that all modules take.
        again: the plan for another number of samples.
    """

    def __init__(
        self, batch_size: int, training: bool, sizes: dict[str, int], peak_at: str,
        rows: list[Row], least: int, again: Callable[[int], "MemoryPlan"],
    ) -> None:
        self.batch_size, self.training = batch_size, training
        self.parameters = sizes["parameters"]
        """The weights; in a compiled model each begins on a multiple of 64 bytes."""
        self.gradients = sizes["gradients"]
        self.optimizer = sizes["optimizer"]
        """What the optimizer keeps beside the weights."""
        self.buffers = sizes["buffers"]
        self.batch = sizes["batch"]
        """The samples, targets and weights of one batch; not the data set that it is cut from."""
        self.kept = sizes["kept"]
        """What stays from step to step besides: sums of metrics and the like."""
        self.saved = sizes["saved"]
        """What all modules keep for their backward, when the last one has gone forward."""
        self.activations = sizes["activations"]
        """All that the step makes and is alive at the peak: what is saved, and what is at work."""
        self.peak_at, self.rows = peak_at, rows
        self._least, self._again = least, again

    @property
    def constant(self) -> int:
        """What is there before the first batch, whatever its size."""
        return self.parameters + self.gradients + self.optimizer + self.buffers

    @property
    def peak(self) -> int:
        """The most that is alive at once."""
        return self.constant + self.batch + self.kept + self.activations

    def largest_batch(self, budget: Any) -> int:
        """How many samples a batch may have so that the peak is within a budget.

        Raises: ValueError if not even one sample fits, or the least that a batch norm, say, takes,
            with what does not; TypeError or ValueError for what is no amount of memory.

        Args:
            budget: "8GB" (8 · 10⁹ bytes), "8 GiB" (8 · 2³⁰), or a number of bytes.
        """
        return self._largest("largest_batch(budget)", budget)

    def _largest(self, who: str, budget: Any) -> int:
        """The same in the name of who asks."""
        size = in_bytes(who, budget)
        first = self._again(self._least)
        if first.peak > size:
            why = "" if self._least == 1 else ", the fewest that all modules train on"
            raise ValueError(f"{who} expects memory for {first._samples} at least{why}; got "
                             f"{budget!r}, and {first._too_much(size)}")
        return self._search(who, size, first.peak)

    @property
    def _samples(self) -> str:
        return "one sample" if self.batch_size == 1 else f"{self.batch_size} samples"

    def _search(self, who: str, budget: int, at_least: int) -> int:
        """Between a batch that fits and one that does not, along the line through their peaks."""
        low, at_low, high = self._least, at_least, 2 * self._least
        while high <= _MOST and (at_high := self._again(high).peak) <= budget:
            slope = max(1, (at_high - at_low) // (high - low))
            low, at_low, high = high, at_high, max(2 * high, high + (budget - at_high) // slope)
        if high > _MOST:
            raise ValueError(f"{who} expects a step that takes more for more "
                             f"samples; got {in_units(at_low)} for {low} of them. Choose any.")
        halve = False
        while high - low > 1:
            share = (budget - at_low) / (at_high - at_low)
            middle = (low + high) // 2 if halve else low + int(share * (high - low))
            middle, halve = min(max(middle, low + 1), high - 1), not halve
            peak = self._again(middle).peak
            if peak <= budget:
                low, at_low = middle, peak
            else:
                high, at_high = middle, peak
        return low

    def _too_much(self, budget: int) -> str:
        """What alone is more than there is, in words."""
        kinds = {"the parameters": self.parameters, "the gradients": self.gradients,
                 "the optimizer": self.optimizer, "the buffers": self.buffers}
        total = 0
        for count, (kind, size) in enumerate(kinds.items(), 1):
            total += size
            if total > budget:
                names = list(kinds)[:count]
                together = f"{', '.join(names[:-1])} and {kind}" if count > 1 else kind
                return f"{together} alone take {in_units(total)}. Make the model smaller."
        return (f"{self._samples} {'takes' if self.batch_size == 1 else 'take'} "
                f"{in_units(self.peak)} in all, at the {self.peak_at}. Make the sample smaller, or "
                "wrap modules in Recompute.")

    def __repr__(self) -> str:
        return (f"<MemoryPlan: batch_size={self.batch_size}, peak {in_units(self.peak)} at the "
                f"{self.peak_at}>")

    def __str__(self) -> str:
        """The table, a row for each module and the sums below it."""
        cells = [_cells(row) for row in self.rows]
        sums = [(name, "", in_units(size), "", "", "", "") for name, size in self._kinds()]
        what = "A step of training" if self.training else "A prediction"
        return "\n".join([f"{what}, batch_size={self.batch_size}",
                          *ruled([[], [_HEAD], cells, sums], _LONGEST), *self._about_rows(),
                          f"Peak: {in_units(self.peak)} ({self.peak:,} bytes), at the "
                          f"{self.peak_at}"])

    def _about_rows(self) -> list[str]:
        """What a row that is blank means, if there is one."""
        is_blank = any(not any(_sizes(row)) for row in self.rows)
        return wrapped(_ALONE, _LONGEST) if is_blank else []

    def _kinds(self) -> list[tuple[str, int]]:
        return [("Parameters", self.parameters), ("Gradients", self.gradients),
                ("Optimizer", self.optimizer), ("Buffers", self.buffers), ("Batch", self.batch),
                ("Kept from step to step", self.kept),
                (f"Made in the step ({in_units(self.saved)} saved)", self.activations)]


def _cells(row: Row) -> tuple[str, ...]:
    shape = ", ".join(map(str, row.output_shape)) if isinstance(row.output_shape, tuple) else (
        str(row.output_shape))
    return row.name, f"(N, {shape})", *(in_units(size) if size else "" for size in _sizes(row))


def _sizes(row: Row) -> tuple[int, ...]:
    return row.parameters, row.saved, row.workspace, row.forward, row.backward
