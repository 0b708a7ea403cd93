"""Runs a saved step again, and shows every tensor of it in order: where did the first NaN arise?"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch

from kerasish.differentiable import saving
from kerasish.insight.replaying.sight import Sight, listed, seen
from kerasish.insight.replaying.step import Step, load_step, noise_of, read_step
from kerasish.insight.table import table
from kerasish.insight.twin import twin
from kerasish.insight.wording import title_of
from kerasish.parameter import Parameter
from kerasish.paths import values
from kerasish.random import drawing_from
from kerasish.saving.errors import FilePath, check_path
from kerasish.training import mode
from kerasish.trees import batch_size, mapped
from kerasish.watching import Place, Watch

_HEAD = ("Module", "Direction", "Shape", "Norm", "Smallest", "Largest", "Not finite")
_LONGEST = 110
_DATA = ("inputs", "targets", "sample weights")


class Replay:
    """A step that was run again: `print(replay)` shows it.

    Attributes: `steps`, a `Sight` of every tensor in the order in which they came about; `first`,
    the first of them with a value that is not finite, or None; `epoch` and `batch`, counted from 0
    as in hooks; `step`, the number of the batch among all that were trained, from 1; `same_noise`,
    False for a step of another kind of device, whose noise cannot be drawn again; `found`, the
    place and the direction that were found first when the step was saved, or None.
    """

    def __init__(self, path: FilePath, step: Step, steps: list[Sight], same_noise: bool) -> None:
        self.path, self.steps, self.same_noise = os.fspath(path), steps, same_noise
        self.epoch, self.batch, self.step = step["epoch"], step["batch"], step["step"]
        self.found: tuple[str, str] | None = step["first"]
        self.first = next((each for each in steps if each.not_finite), None)

    def __repr__(self) -> str:
        found = f"first not finite: {self.first.words}" if self.first else "all finite"
        return f"<Replay of step {self.step}: {found}>"

    def __str__(self) -> str:
        cells = [_HEAD, *(_cells(each, each is self.first) for each in self.steps)]
        return "\n".join([
            f"Step {self.step}: epoch {self.epoch + 1}, batch {self.batch + 1}, from {self.path!r}",
            *(line for row in table(cells, _LONGEST) for line in row), *self._ending()])

    def _ending(self) -> Iterator[str]:
        if self.first is None:
            yield "All of it is finite."
        else:
            samples = listed(self.first.samples)
            yield f"First not finite: {self.first.words}{samples and ', '}{samples}."
        if self.found and (self.first is None or self.found != (self.first.place,
                                                                self.first.direction)):
            place, direction = self.found
            yield f"When it was saved, that was {place[:200]!r}, {direction[:200]!r}."
        if not self.same_noise:
            yield "The noise is another one: the step was saved on another kind of device."


def replay(model: Any, path: FilePath) -> Replay:
    """`Model.replay`, which describes it."""
    model._require_compiled("replay")
    step = read_step(check_path("Model.replay(path)", path, "nan/step-00123.safetensors"))
    with twin(model) as copied:
        return rerun(copied, step, path)


def rerun(model: Any, step: Step, path: FilePath) -> Replay:
    """Runs a step in a model, which it changes: take a twin.

    Raises: ModelFileError for a step of another model.

    Args:
        model: a compiled one.
        step: as `read_step` gives it.
        path: where it lies, or will.
    """
    batch = load_step(model, step, path)
    noise, same = noise_of(step, model.device, path)
    recording = Recording(model, batch)
    recording.see_parameters("before the step")
    recording.see_data()
    with mode(model.module.modules(), training=True), drawing_from(noise):
        with torch.inference_mode(), recording:
            outcome = model.train_step(*batch)
    if not recording.has_loss:  # a `train_step` of one's own
        recording.see_loss(outcome["loss"] if isinstance(outcome, dict) else outcome[0])
    recording.see_parameters("after the update")
    return Replay(path, step, recording.steps, same)


class Recording(Watch):
    """Looks at every tensor of a step.

    Args:
        model: that trains; its module is watched.
        batch: what it trains on.
    """

    def __init__(self, model: Any, batch: tuple[Any, Any, Any]) -> None:
        super().__init__(model.module)
        self.model, self.batch, self.samples = model, batch, batch_size(batch[0])
        self.steps: list[Sight] = []
        self.has_loss = False
        self._y_pred: Any = None

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        y = call(x)
        self._see(place, "forward", y)
        if place.module is self.module:
            self._y_pred = y
        return y

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        if place.module is self.module:
            if self.model.batch_loss is not None:
                self.see_loss(self.model.batch_loss)
            self.steps.append(seen("", repr(self.model.loss), "backward", dy, self.samples))
        dx = call(dy)
        for name, parameter in values(place.module, Parameter):
            if parameter.trainable:
                self.steps.append(seen(place.path, title_of(place.module), f"gradient of {name}",
                                       parameter.grad))
        if dx is not None:
            self._see(place, "backward", dx)
        return dx

    def _see(self, place: Place, direction: str, tree: Any) -> None:
        self.steps.append(seen(place.path, title_of(place.module), direction, tree, self.samples))

    def see_data(self) -> None:
        """Looks at the batch."""
        for name, part in zip(_DATA, self.batch, strict=True):
            if part is not None:
                self.steps.append(seen("", name, "data", part, self.samples))

    def see_parameters(self, when: str) -> None:
        """Looks for parameters and buffers that are not finite; others are not listed."""
        for path, part in self.module.named_modules():
            held = [(name, each.data) for name, each in values(part, Parameter)]
            held += [(name, getattr(part, name)) for name in part._buffer_names]
            sights = [seen(path, title_of(part), f"{name} {when}", each) for name, each in held]
            self.steps += [each for each in sights if each.not_finite]

    def see_loss(self, loss: Any) -> None:
        """Looks at the loss, and asks which samples make it what it is."""
        self.has_loss = True
        sight = seen("", repr(self.model.loss), "loss", loss)
        if sight.not_finite:
            sight = sight._replace(samples=tuple(self._samples_of_loss()))
        self.steps.append(sight)

    def _samples_of_loss(self) -> Iterator[int]:
        """The samples whose own loss is not finite, where the loss takes one sample at a time."""
        whole = (self._y_pred, *self.batch[1:])
        with suppress(Exception), saving(False), torch.inference_mode():
            for index in range(self.samples):
                one = mapped(lambda part: part[index : index + 1], whole)  # noqa: B023
                if not self.model.loss.forward(*one).isfinite().all():
                    yield index


def _cells(sight: Sight, is_first: bool) -> tuple[str, ...]:
    numbers = (sight.norm, sight.smallest, sight.largest)
    bad = f"{sight.not_finite} <- first" if is_first else str(sight.not_finite or "")
    return (sight.place, sight.direction, _shape(sight.shape),
            *("-" if math.isnan(number) else f"{number:.4g}" for number in numbers), bad)


def _shape(shape: Any) -> str:
    return str(tuple(shape)) if not isinstance(shape, dict) else str(shape)
