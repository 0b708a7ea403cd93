"""What all optimizers share: the rate, the order of a step, and the slots beside the weights."""

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from torch import Tensor

from kerasish.checks import check_count, check_number, check_rate
from kerasish.configured import Configured
from kerasish.optimizers.flat import FlatParameters, flatten
from kerasish.optimizers.segments import Segment, cut
from kerasish.optimizers.shares import all_of
from kerasish.optimizers.slotted import Slotted
from kerasish.optimizers.stages import averages_of, check_clipping, stages_of
from kerasish.optimizers.streaming import Streaming
from kerasish.parameter import Parameter
from kerasish.schedules.schedule import check_schedule

Rate = float | Callable[[int], float]
"""A number, or a schedule: a function of the number of updates so far."""

_BOUND = ("_gradients", "_segments", "_stages", "_averages", "_advance")
"""What a plan holds, stretches of the flat vectors; and what stands around the next update."""


class Optimizer(Slotted, Configured):
    """Base of all optimizers: a subclass is its formula, in the paper's letters.

    An update does, in this order, as far as it is asked for: average over accumulated micro-batches
    → the regularizers' gradients → clip → weight decay → `update(w, g, *slots)` → running averages
    of the weights → constraints → `iterations += 1`. It runs on the flat vectors of a model, or of
    a bare list of parameters, so its cost does not grow with the number of layers. What comes
    before `update` changes the gradients in place.

    A gradient that is not finite reaches the weights: one that is not a number makes a norm, and so
    all that is clipped by it, not a number; an infinite one makes the others 0, as in torch.

    Raises: ValueError for settings out of range, and for more than one kind of clipping.

    Args:
        learning_rate: 0 or more, or a schedule. 0.0 leaves the weights as they are.
        weight_decay: λ, 0 or more: w ← w - α λ w before each update, where `parameter.decay` is
            True. It never enters the gradient (Loshchilov & Hutter (2019), "Decoupled Weight Decay
            Regularization").
        clipnorm: the greatest norm of the gradient of each parameter, above 0.
        clipvalue: the greatest size of each element of the gradients, above 0.
        global_clipnorm: the greatest norm of all gradients together, above 0.
        gradient_accumulation_steps: how many calls of `step` make one update, 2 or more.
        use_ema: whether running averages of the weights are kept; `finalize` puts them in.
        ema_momentum: the share of the average that remains at each update, from 0 to 1.
        ema_overwrite_frequency: updates after which the weights are set to their averages, again
            and again; None for never.

    Example:
        >>> import torch
        >>> weight = Parameter(torch.ones(2))
        >>> weight.grad += 1.0
        >>> from kerasish.optimizers import SGD
        >>> SGD(learning_rate=0.5).build([weight]).step()
        True
        >>> weight.data
        tensor([0.5000, 0.5000])
    """

    formula: ClassVar[str] = "w ← w - …"
    passes_on: ClassVar[bool] = True
    rate: float
    """The learning rate of the stretch that is being updated."""
    sizes: list[int]
    """How many elements of that stretch belong to each parameter: `w.split(self.sizes)`."""

    def __init__(
        self, learning_rate: Rate, *, weight_decay: float | None = 0.0,
        clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, gradient_accumulation_steps: int | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
    ) -> None:
        who = type(self).__name__
        self.learning_rate = learning_rate
        self.weight_decay = check_number(f"{who}(weight_decay)", weight_decay or 0.0, 0)
        self.clipnorm, self.clipvalue, self.global_clipnorm = check_clipping(
            who, clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm)
        self.gradient_accumulation_steps = None if gradient_accumulation_steps is None else (
            check_count(f"{who}(gradient_accumulation_steps)", gradient_accumulation_steps, 2,
                        "None updates in every step."))
        self.use_ema = use_ema
        self.ema_momentum = check_number(f"{who}(ema_momentum)", ema_momentum, 0, 1)
        self.ema_overwrite_frequency = None if ema_overwrite_frequency is None else check_count(
            f"{who}(ema_overwrite_frequency)", ema_overwrite_frequency, 1, "None is for never.")
        self.iterations = self.gathered_batches = self.gathered_rows = 0
        self.parameters: list[Parameter] = []
        self.flats: list[FlatParameters] = []
        self.built, self._planned_at = False, -1
        self._owner: weakref.ref[object] | None = None
        self._streaming: Streaming | None = None

    @property
    def accumulates(self) -> bool:
        """Whether gradients of micro-batches add up; each is then to be scaled by its rows."""
        return self.gradient_accumulation_steps is not None

    @property
    def learning_rate(self) -> float:
        """The rate of the next update; may be set at any time, to a number or a schedule."""
        return self.schedule(self.iterations) if self.schedule else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:
        who = f"{type(self).__name__}(learning_rate)"
        if isinstance(value, type):
            raise TypeError(f"{who} expects a number, or a schedule; got the class "
                            f"{value.__name__}. Write {value.__name__}(...), an instance.")
        self.schedule = value if callable(value) else None
        self._rate = math.nan if callable(value) else check_rate(who, value)

    def build(self, parameters: Iterable[Parameter]) -> "Optimizer":
        """Lays the parameters down in flat vectors and makes the slots.

        Raises: TypeError or ValueError for a schedule that gives no rate.
        """
        if self.schedule is not None:
            check_schedule(f"{type(self).__name__}(learning_rate)", self.schedule, self.iterations)
        self.parameters, self.built = list(dict.fromkeys(parameters)), True
        self.flats = flatten(self.parameters)
        self._make_slots()
        self._plan()
        return self

    def claim(self, owner: object) -> None:
        """Makes this the optimizer of one model.

        Raises: ValueError if it is another's: its slots would mix two trainings.
        """
        taken = self._owner() is not owner if self._owner is not None else self.built
        if taken:
            raise ValueError(
                f"compile(optimizer) expects an optimizer of its own for each model; got {self!r}, "
                "which trains something else. Make a new one."
            )
        self._owner = weakref.ref(owner)

    def step(self, rows: int = 1) -> bool:
        """Updates all trainable parameters from their gradients.

        With `gradient_accumulation_steps` only the last of so many calls does, from the mean over
        all rows. Until it answers True, leave the gradients to add up, each batch's mean gradient
        times its rows (as it is where batches are equally large and rows is left out).

        Args:
            rows: samples in the batch, which weigh it among accumulated ones.

        Returns: whether this call made an update; the gradients are then to be cleared.
        """
        if self._planned_at != Parameter.revisions:
            self._plan()
        if self.gradient_accumulation_steps is not None:
            self.gathered_rows += check_count(f"{type(self).__name__}.step(rows)", rows, 1)
            self.gathered_batches += 1
            if self.gathered_batches < self.gradient_accumulation_steps:
                return False
        self._advance()
        return True

    def flush(self) -> bool:
        """Makes the update from micro-batches that are left over, with their true count.

        Returns: whether there were any.
        """
        if not self.gathered_batches:
            return False
        if self._planned_at != Parameter.revisions:
            self._plan()
        self._advance()
        return True

    def zero_grad(self) -> None:
        """Fills the gradients with zeros, whatever they held: 0 times NaN would stay NaN.

        Micro-batches that were waiting in them for an update are gone, too.
        """
        if self._planned_at != Parameter.revisions:
            self._plan()
        for gradient in self._gradients:
            gradient.zero_()
        self.gathered_batches = self.gathered_rows = 0

    def finalize(self) -> None:
        """Sets trainable weights to their running averages, if these are kept; ends a fit."""
        if self._has_averages():
            self._averages.overwrite()
            self._spread()

    def swap_ema(self) -> None:
        """Exchanges trainable weights and their running averages; a second call undoes it."""
        if self._has_averages():
            self._averages.swap()
            self._spread()

    def _spread(self) -> None:
        if self.exchange is not None:
            self.exchange.spread()

    def stream(self) -> Streaming:
        """Updates parameters one by one from now on, until `end` of what it returns is called.

        Raises: ValueError where an update needs all gradients at once.
        """
        self._streaming = Streaming(self)
        return self._streaming

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        """Changes w in place: the formula, on a stretch of the flat vectors."""
        raise NotImplementedError(f"{type(self).__name__} needs an update method. Write it.")

    def _advance(self) -> None:
        for stage in self._stages:
            stage()
        self.iterations += 1

    def _average_micro_batches(self) -> None:
        for segment in self._segments:
            segment.g.div_(self.gathered_rows)
        self.gathered_batches = self.gathered_rows = 0

    def update_all(self, segments: list[Segment]) -> None:
        """Decays and updates what these segments cover, at the rate of the next update."""
        rate = self.schedule(self.iterations) if self.schedule else self._rate
        for multiplier, w, g, slots, sizes, decaying in segments:
            self.rate, self.sizes = rate * multiplier, sizes
            if self.weight_decay:
                for part in decaying:
                    part.mul_(1 - self.rate * self.weight_decay)
            self.update(w, g, *slots)

    def _has_averages(self) -> bool:
        """Whether there are averages: the first update makes them."""
        if self._planned_at != Parameter.revisions:
            self._plan()
        return self.use_ema and self.iterations > 0

    def __getstate__(self) -> dict[str, Any]:
        """A copy belongs to no model yet, and binds stretches of its own vectors."""
        state = {name: value for name, value in vars(self).items() if name not in _BOUND}
        if self.built:
            state |= {"state": self._whole(), "shares": all_of(self.flats)}
        return state | {"_owner": None, "_planned_at": -1, "_streaming": None, "exchange": None}

    def _plan(self) -> None:
        """Binds the stretches to work on; again when a parameter is frozen or otherwise set."""
        if not self.built:
            raise RuntimeError(f"{self!r}.step() expects parameters to train; got none yet. Call "
                               "build(parameters) first, or compile a model with it.")
        own = set(self.parameters)
        trained = [parameter for parameter in self.parameters if parameter.trainable]
        self._averages, self._planned_at = averages_of(self, self.parameters), Parameter.revisions
        if self._streaming is not None:  # gradients are not there all at once
            self._gradients, self._segments, self._stages = [], [], [self._streaming.finish]
            return
        self._gradients = [flat.grad[run] for flat in self.flats for run in flat.runs(own)]
        self._segments = cut(self.flats, trained, self.state, self.slots, self.shares)
        self._stages = stages_of(self, self.parameters, self._segments)
        if self.accumulates:
            self._stages.insert(0, self._average_micro_batches)
        if self.exchange is not None:
            self._stages.insert(0, self.exchange.settle)
