"""Which steps run as compiled programs, which program that is, and what to say where none can."""

import time
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.containers import Recompute
from kerasish.jit.execution import Execution
from kerasish.jit.formulas import FORMULAS, numbers_of
from kerasish.jit.noise import drawn
from kerasish.jit.step import trace
from kerasish.losses.several import NoLoss, OutputLosses
from kerasish.parameter import Parameter
from kerasish.progress import notice
from kerasish.random import stream
from kerasish.stepping import Stepper
from kerasish.trees import filled, leaves, mapped

_PROGRAMS = 8
"""Programs of one compiled model: each costs seconds, and something that changes all the time would
cost them all the time."""
_TRACED = ("train_step", "forward", "objective", "backward", "step", "record")
"""Methods of a trainer that a program stands for."""
_PLAIN = frozenset({int, float, str, bool, type(None)})
_CHANGING = frozenset({"iterations", "gathered_batches", "gathered_rows", "rate", "_rate",
                       "_planned_at", "_unseen", "_product"})
"""Attributes that a program does not go by: what changes in training comes in as tensors."""


class Settings:
    """The numbers and words among the attributes of a part, quickly read.

    Example:
        >>> from kerasish.layers import Dropout
        >>> Settings(Dropout(0.25))()[1:]
        (('p', '_divisor'), (0.25, 0.75))
    """

    def __init__(self, part: Any) -> None:
        self.part, self._attributes, self._count = part, vars(part), -1

    def __call__(self) -> tuple[Any, ...]:
        if len(self._attributes) != self._count:  # the names stay, as a rule
            self._count = len(self._attributes)
            self._names = tuple(name for name, value in self._attributes.items()
                                if name not in _CHANGING and _is_plain(value))
            self._read = itemgetter(*self._names) if self._names else len
        return type(self.part), self._names, self._read(self._attributes)


class Outcomes(NamedTuple):
    """What several steps answered, one below the other."""

    steps: int
    losses: Tensor
    values: dict[str, Tensor]
    """What the losses are made of."""
    y_pred: Any
    """The predictions; None if nobody measures them."""


class Jit:
    """The compiled programs of a trainer. What it cannot compile it refuses once, in words."""

    def __init__(self) -> None:
        self.programs: dict[Any, Execution] = {}
        """By the shapes of a batch and all settings that they go by."""
        self.refused = False
        """Whether something was in the way: all steps then run as without it."""
        self._told_of_hearers = False
        self._settings: tuple[int, Any] = (-1, None)
        self._parts: list[Settings] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy compiles programs of its own."""
        return Jit, ()

    def ready(self, trainer: Any, hooks: Any) -> bool:
        """Whether the fit that begins can be compiled, as far as is known before it."""
        if not self.refused and (reason := _in_the_way(trainer)):
            self._refuse(reason)
        self._parts = [Settings(part) for part in _parts_of(trainer)]
        hearers = [type(each).__name__ for each in hooks if each.listens("on_backward_end")]
        if hearers and not self.refused and not self._told_of_hearers:  # another fit may have none
            self._told_of_hearers = True
            _tell(f"{hearers[0]}, which is called between backward and update")
        return not (self.refused or hearers)

    def run(self, trainer: Any, batches: Any, steps: int, most: int) -> Outcomes | None:
        """Trains on batches that lie in a stack, in order; not on all of them, it may be.

        Returns: None if no step was done.

        Args:
            trainer: a compiled model.
            batches: (x, y, sample weights) with the step as axis 0.
            steps: how many there are.
            most: how many there are in a full execution.
        """
        if self.refused or any("_watch" in vars(type(each.part)) for each in self._parts):
            return None  # who watches modules wants to see each call
        key = self._key(trainer, batches)
        program = self.programs.get(key)
        if program is not None:
            return self._executed(program, trainer, batches, min(steps, program.most))
        if steps < most or self._is_a_rest(key):
            return None
        return self._compiled(key, trainer, batches, most)

    def _compiled(self, key: Any, trainer: Any, batches: Any, most: int) -> Outcomes | None:
        """Runs steps of a new kind for the first time, which compiles them."""
        if len(self.programs) == _PROGRAMS:
            self._refuse(f"more than {_PROGRAMS} kinds of steps: settings, or shapes of batches, "
                         "that change all the time")
            return None
        began, outcomes, noise = time.perf_counter(), None, None
        try:
            step = trace(trainer, mapped(lambda part: part[0], batches),
                         _numbers(trainer, 1, 1)[0])
            if step.draws and any(isinstance(m, Recompute) for m in trainer.module.modules()):
                raise NotImplementedError("noise within Recompute")
            if self._key(trainer, batches) != key:
                raise NotImplementedError("a module that keeps numbers of its own from call to "
                                          "call")
            notice(f"fit: compiling {most if most > 1 else 'the'} step{'s' * (most > 1)} of "
                   "training, which takes some seconds.")
            program = self.programs[key] = Execution(step, most)
            noise = stream().get_state() if step.draws else None  # type: ignore[union-attr]
            outcomes = self._executed(program, trainer, batches, most)
        except Exception as error:  # compilers fail in many ways; the step itself will tell its own
            self.programs.pop(key, None)
            if noise is not None:
                stream().set_state(noise)  # type: ignore[union-attr]
            self._refuse(_said(error))
            return None
        notice(f"fit: compiled in {time.perf_counter() - began:.0f} s.")
        return outcomes

    def _executed(
        self, program: Execution, trainer: Any, batches: Any, steps: int
    ) -> Outcomes | None:
        steps -= steps % program.row
        if not steps:
            return None
        step, most = program.step, program.most
        noise = [draw.place_for(most, trainer.device) for draw in step.draws]
        if noise:
            drawn(step.draws, noise, steps, stream())
        loss, *others = program(steps, _numbers(trainer, steps, most), noise,
                                [_stack_of(part, most) for part in leaves(batches)])
        trainer.optimizer.iterations += steps
        if steps < most:
            loss, *others = (part[:steps] for part in (loss, *others))
        count = len(step.values)
        values = dict(zip(step.values, others, strict=False))
        return Outcomes(steps, loss, values, filled(step.y_pred, others[count:]))

    def _refuse(self, reason: str) -> None:
        self.refused = True
        _tell(reason)

    def _key(self, trainer: Any, batches: Any) -> tuple[Any, Any]:
        if self._settings[0] != Parameter.revisions:
            self._settings = Parameter.revisions, tuple(
                (p.trainable, p.decay, p.learning_rate_multiplier, id(p.regularizer),
                 id(p.constraint)) for p in trainer.module.parameters())
        shapes = tuple((tuple(part.shape[1:]), part.dtype) for part in leaves(batches))
        return shapes, (bool(trainer.scores.metrics), self._settings[1],
                        tuple(each() for each in self._parts))

    def _is_a_rest(self, key: tuple[Any, Any]) -> bool:
        """Whether a batch is smaller than another one is, as the last one of an epoch."""
        shapes, settings = key
        return any(settings == others and len(shapes) == len(larger) and all(
            dtype == d and shape[1:] == s[1:] and shape[:1] <= s[:1]
            for (shape, dtype), (s, d) in zip(shapes, larger, strict=True))
            for larger, others in self.programs)


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (
        type(value) is tuple and all(type(each) in _PLAIN for each in value))


def _numbers(trainer: Any, steps: int, most: int) -> Tensor:
    """What the optimizer takes in so many updates, filled up to the size of a program."""
    rows = numbers_of(trainer.optimizer, steps)
    rows += [rows[-1]] * (most - steps)
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=trainer.optimizer.flats[0].data.dtype,
                            device=trainer.device)


def _stack_of(part: Tensor, most: int) -> Tensor:
    """The batches of a full execution, which a program can read: never an inference tensor."""
    if len(part) == most and part.is_contiguous() and not part.is_inference():
        return part
    with torch.inference_mode(False):
        stack = part.new_zeros((most, *part.shape[1:]))
        stack[: len(part)].copy_(part[:most])
    return stack


def _tell(reason: str) -> None:
    notice(f"compile(jit_compile=True) expects a training step that can be compiled; got {reason}. "
           "Training goes on without, with the same results. Leave jit_compile out, or change what "
           "is named.")


def _parts_of(trainer: Any) -> Iterator[Any]:
    """Whose settings a program goes by."""
    yield from (trainer.optimizer, trainer.loss, *trainer.module.modules())
    if isinstance(trainer.loss, OutputLosses):
        yield from (part.loss for part in trainer.loss.parts)
    for parameter in trainer.module.parameters():
        yield from filter(None, (parameter.regularizer, parameter.constraint))


def _in_the_way(trainer: Any) -> str | None:
    """What is known not to be compiled; None if nothing is."""
    optimizer = trainer.optimizer
    own = [name for name in _TRACED if getattr(type(trainer), name) is not getattr(Stepper, name)]
    overwrites = optimizer.use_ema and optimizer.ema_overwrite_frequency
    reasons = [
        (own, f"{type(trainer).__name__}.{own[0] if own else ''}, a method of your own"),
        (isinstance(trainer.loss, NoLoss), "loss=None"),
        (trainer.precision is not None, "precision"),
        (trainer.group is not None, "several processes"),
        (trainer.device.type != "cpu", f"the device {trainer.device}: on the CPU alone for now"),
        (type(optimizer) not in FORMULAS, f"the optimizer {type(optimizer).__name__}"),
        (optimizer.accumulates, f"{type(optimizer).__name__}(gradient_accumulation_steps)"),
        (overwrites, f"{type(optimizer).__name__}(ema_overwrite_frequency)"),
        (not optimizer.flats, "a model without parameters"),
    ]
    return next((reason for found, reason in reasons if found), None)


def _said(error: Exception) -> str:
    """An error of a compiler in one line."""
    error = getattr(error, "inner_exception", error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:300].rstrip('.')}" if lines else (
        type(error).__name__)
