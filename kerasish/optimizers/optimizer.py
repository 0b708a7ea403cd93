"""What all optimizers share: the rate, the order of a step, and the slots beside the weights."""

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_rate
from kerasish.configured import Configured
from kerasish.optimizers.flat import FlatParameters, flatten
from kerasish.parameter import Parameter

Rate = float | Callable[[int], float]
"""A number, or a schedule: a function of the number of updates so far."""


class Optimizer(Configured):
    """Base of all optimizers: a subclass is its formula, in the paper's letters.

    `step()` does, in this order: `update(w, g, *slots)`, `iterations += 1`. It runs on the flat
    vectors of a model, or of a bare list of parameters, so its cost does not grow with the number
    of layers.

    Args:
        learning_rate: 0 or more, or a schedule. 0.0 leaves the weights as they are.

    Example:
        >>> weight = Parameter(torch.ones(2))
        >>> weight.grad += 1.0
        >>> from kerasish.optimizers import SGD
        >>> SGD(learning_rate=0.5).build([weight]).step()
        >>> weight.data
        tensor([0.5000, 0.5000])
    """

    formula: ClassVar[str] = "w ← w - …"
    rate: float
    """The learning rate of the step that is being made."""

    def __init__(self, learning_rate: Rate) -> None:
        self.learning_rate = learning_rate
        self.iterations = 0
        self.parameters: list[Parameter] = []
        self.flats: list[FlatParameters] = []
        self.built, self._planned_at = False, -1
        self._owner: weakref.ref[object] | None = None

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors kept beside the weights, zeros at first."""
        return ()

    @property
    def learning_rate(self) -> float:
        """The rate of the next update; may be set at any time, to a number or a schedule."""
        return self._schedule(self.iterations) if self._schedule else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:
        who = type(self).__name__
        self._schedule = value if callable(value) else None
        self._rate = math.nan if callable(value) else check_rate(f"{who}(learning_rate)", value)

    def build(self, parameters: Iterable[Parameter]) -> "Optimizer":
        """Lays the parameters down in flat vectors and makes the slots."""
        self.parameters, self.built = list(dict.fromkeys(parameters)), True
        self.flats = flatten(self.parameters)
        with torch.inference_mode(False):  # slots outlive every step
            self.state = {flat: {slot: torch.zeros_like(flat.data) for slot in self.slots}
                          for flat in self.flats}
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

    def step(self) -> None:
        """Updates all trainable parameters from their gradients."""
        if self._planned_at != Parameter.revisions:
            self._plan()
        self.rate = self._schedule(self.iterations) if self._schedule else self._rate
        for w, g, slots in self._segments:
            self.update(w, g, *slots)
        self.iterations += 1

    def zero_grad(self) -> None:
        """Fills the gradients with zeros, whatever they held: 0 times NaN would stay NaN."""
        if self._planned_at != Parameter.revisions:
            self._plan()
        for gradient in self._gradients:
            gradient.zero_()

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        """Changes w in place: the formula, on a stretch of the flat vectors."""
        raise NotImplementedError(f"{type(self).__name__} needs an update method. Write it.")

    def __getstate__(self) -> dict[str, Any]:
        """A copy belongs to no model yet, and binds stretches of its own vectors."""
        bound = ("_gradients", "_segments")
        state = {name: value for name, value in vars(self).items() if name not in bound}
        return state | {"_owner": None, "_planned_at": -1}

    def _plan(self) -> None:
        """Binds the stretches to work on; again when a parameter is frozen or thawed."""
        if not self.built:
            raise RuntimeError(f"{self!r}.step() expects parameters to train; got none yet. Call "
                               "build(parameters) first, or compile a model with it.")
        own = set(self.parameters)
        trained = {parameter for parameter in own if parameter.trainable}
        self._gradients = [flat.grad[run] for flat in self.flats for run in flat.runs(own)]
        self._segments = [
            (flat.data[run], flat.grad[run], [self.state[flat][slot][run] for slot in self.slots])
            for flat in self.flats
            for run in flat.runs(trained)
        ]
        self._planned_at = Parameter.revisions
