"""What one fit is to do: its data, its epochs, and the order that a seed gives the samples."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.data import Arrays
from kerasish.module import Module
from kerasish.random import check_seed, derived_generator, draw_seed
from kerasish.trees import leaves
from kerasish.types import ArrayLike, Device

INITIAL, ORDER, NOISE = range(3)
"""What a seed is used for: each purpose draws from a stream of its own."""


class Plan(NamedTuple):
    """The checked arguments of a fit."""

    data: Arrays
    validation: Arrays | None
    batch_size: int
    epochs: range
    shuffle: bool
    seed: int

    def order(self, epoch: int) -> Tensor | None:
        """The order of the samples in an epoch: it depends on seed and epoch alone."""
        if not self.shuffle:
            return None
        return torch.randperm(len(self.data), generator=derived_generator(self.seed, ORDER, epoch))

    def initial_values(self) -> torch.Generator:
        """The stream that initial values of parameters are drawn from, on the CPU."""
        return derived_generator(self.seed, INITIAL)

    def noise(self, epoch: int, device: Device) -> torch.Generator:
        """The stream that an epoch's noise, dropout for instance, is drawn from."""
        return derived_generator(self.seed, NOISE, epoch, device=device)

    def require_batches_for(self, module: Module) -> None:
        """Refuses a last batch that is too small for a module, a batch norm for instance.

        Raises: ValueError naming the module.
        """
        last = len(self.data) % self.batch_size or min(self.batch_size, len(self.data))
        for path, part in module.named_modules():
            if last < part.least_batch and part.trainable:
                raise ValueError(
                    f"fit(batch_size) expects batches of {part.least_batch} samples or more, for "
                    f"{part!r} at {path!r}; got {len(self.data)} samples in batches of "
                    f"{self.batch_size}, the last one of {last}. Choose another batch_size, or "
                    "leave samples out."
                )

    def on(self, device: Device, dtype: torch.dtype) -> "Plan":
        """The same with the data on that device, its floats in that type."""
        validation = self.validation.to(device, dtype) if self.validation else None
        return self._replace(data=self.data.to(device, dtype), validation=validation)


def make_plan(
    x: Any,
    y: Any,
    batch_size: int | None,
    epochs: int,
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    initial_epoch: int,
    seed: int | None,
) -> Plan:
    """Checks the arguments of `Model.fit`, which describes them.

    Raises: ValueError or TypeError naming the argument.
    """
    data, validation = labelled("fit", x, y), None
    if validation_data is not None:
        if not isinstance(validation_data, list | tuple) or not 2 <= len(validation_data) <= 3:
            raise ValueError("fit(validation_data) expects a tuple (x, y); got "
                             f"{type(validation_data).__name__}. Write validation_data=(x, y).")
        validation = labelled("fit(validation_data)", *validation_data)
    elif validation_split:
        data, validation = data.split(validation_split)
    return Plan(
        data,
        validation,
        check_batch_size("fit", batch_size),
        range(check_count("fit(initial_epoch)", initial_epoch), check_count("fit(epochs)", epochs)),
        shuffle,
        draw_seed() if seed is None else check_seed("fit", seed),
    )


def labelled(who: str, x: Any, y: Any, sample_weight: ArrayLike = None) -> Arrays:
    """Samples with targets, at least one of each.

    Raises: ValueError or TypeError in the name of who asks.
    """
    if next(leaves(y), None) is None:
        raise ValueError(f"{who}(y) expects targets, one a sample; got {y!r}. "
                         "Only predict does without them.")
    data = Arrays(x, y, sample_weight, who)
    if not len(data):
        raise ValueError(f"{who}(x) expects at least one sample; got x of shape "
                         f"{tuple(next(leaves(data.x)).shape)}. Check how x was selected.")
    return data


def check_batch_size(who: str, value: int | None) -> int:
    """Hands a batch size back if it is one; None is Keras' 32."""
    batch_size = 32 if value is None else value
    return check_count(f"{who}(batch_size)", batch_size, 1, "32 is a usual batch size.")
