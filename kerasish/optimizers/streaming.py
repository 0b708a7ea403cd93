"""Updates that do not wait for each other: a gradient lives from its first term to its update."""

from typing import Any

import torch
from torch import Tensor

from kerasish.optimizers.flat import shaped
from kerasish.optimizers.segments import Segment
from kerasish.optimizers.stages import stages_of
from kerasish.parameter import Parameter


class Streaming:
    """The parameters of an optimizer, updated one by one; each has a gradient only for that long.

    `begin` makes the gradient of a parameter, zeros; `complete` updates the parameter and gives the
    gradient back. In between, `grad` is zeros that nothing can be written into, and the vectors of
    gradients are empty. `end` lays them down again. The numbers are those of an update of all
    parameters at once, to the bit.

    Raises: ValueError for an optimizer that needs all gradients at once, or that trains what lies
        in another model's vectors.

    Args:
        optimizer: one that is built.
    """

    def __init__(self, optimizer: Any) -> None:
        check_optimizer(optimizer)
        _check_alone(optimizer)
        self.optimizer = optimizer
        self._lines: dict[Parameter, Tensor] = {}
        """The gradients that are there, each with its padding."""
        self._updated: set[Parameter] = set()
        for flat in optimizer.flats:
            flat.grad = flat.grad.new_empty(0)
        for parameter in optimizer.parameters:
            self._drop(parameter)
        Parameter.revisions += 1  # whoever has bound stretches of the vectors lets go of them

    def begin(self, parameter: Parameter) -> None:
        """Makes the gradient, if it is not there yet.

        Raises: RuntimeError for a parameter that this step has updated already.
        """
        if parameter in self._updated:
            raise RuntimeError("fit(stream_updates=True) expects a module to go back as often as "
                               "it went forward; got a gradient for a parameter that this step has "
                               "updated already. Leave stream_updates out.")
        if parameter not in self._lines:
            flat: Any = parameter.flat
            with torch.inference_mode(False):
                line = torch.zeros_like(flat.data[flat.run(parameter)])
                part = shaped(line[: parameter.data.numel()], parameter.shape,
                              parameter in flat.turned)
                parameter.place(parameter.data, part, flat)
            self._lines[parameter] = line

    def complete(self, parameter: Parameter) -> None:
        """Updates the parameter from its gradient, and gives that back."""
        self.begin(parameter)
        flat: Any = parameter.flat
        run, slots = flat.run(parameter), self.optimizer.state[flat]
        w = flat.data[run]
        segment = Segment(
            parameter.learning_rate_multiplier, w, self._lines[parameter],
            [slots[name][run] for name in self.optimizer.slots], [len(w)],
            [w] if parameter.decay else [])
        segments = [segment] if parameter.trainable else []
        for stage in stages_of(self.optimizer, [parameter], segments):
            stage()
        self._updated.add(parameter)
        self._drop(parameter)

    def finish(self) -> None:
        """Updates those that no gradient came to: momentum and decay move them all the same."""
        for parameter in self.optimizer.parameters:
            if parameter not in self._updated:
                self.complete(parameter)
        self._updated.clear()

    def end(self) -> None:
        """Lays the gradients down in vectors again: zeros."""
        self._lines.clear()
        self.optimizer._streaming = None
        with torch.inference_mode(False):
            for flat in self.optimizer.flats:
                flat.grad = torch.zeros_like(flat.data)
            for parameter in self.optimizer.parameters:
                flat = parameter.flat
                parameter.place(parameter.data, flat.part(flat.grad, parameter), flat)
        Parameter.revisions += 1

    def _drop(self, parameter: Parameter) -> None:
        self._lines.pop(parameter, None)
        with torch.inference_mode(False):
            nothing = parameter.data.new_zeros(()).expand(parameter.shape)
        parameter.place(parameter.data, nothing, parameter.flat)


def check_optimizer(optimizer: Any) -> None:
    """Refuses one that needs all gradients at once.

    Raises: ValueError naming the setting.
    """
    who = type(optimizer).__name__
    if optimizer.accumulates:
        raise ValueError(
            "fit(stream_updates) expects an update for each batch; got "
            f"{who}(gradient_accumulation_steps={optimizer.gradient_accumulation_steps}), which "
            "keeps all gradients. Leave one of them out.")
    if optimizer.global_clipnorm is not None:
        raise ValueError(
            "fit(stream_updates) expects clipping that needs one gradient at a time; got "
            f"{who}(global_clipnorm={optimizer.global_clipnorm}), the norm of all of them. Take "
            "clipnorm or clipvalue.")


def _check_alone(optimizer: Any) -> None:
    strangers = {p for flat in optimizer.flats for p in flat.parameters} - {*optimizer.parameters}
    if strangers:
        raise ValueError(
            f"fit(stream_updates) expects parameters of this model alone; got {len(strangers)} "
            "others in the same vectors, which another optimizer trains. Leave stream_updates out.")
