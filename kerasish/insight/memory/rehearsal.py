"""A step of training, or a prediction, on tensors that have shapes and no memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.insight.live import Span, held_by, id_of
from kerasish.insight.memory.declared import asks_for_numbers, numbers_missed, stands_in
from kerasish.insight.memory.meta import LiveOnMeta
from kerasish.module import Module
from kerasish.training import mode
from kerasish.trees import leaves


class Usage(NamedTuple):
    """What a module takes."""

    forward: int
    """The most that was alive, in the whole step, while its forward ran."""
    backward: int
    """The same of its backward."""
    workspace: int
    """What lived only inside one of its calls: neither given to it nor left by it."""


class Rehearsal:
    """Goes through a step of a weightless model, and counts what is alive.

    Args:
        model: on the meta device; what is done to it stays.
        batch: x, y and sample weights on that device.
        training: whether the step is one of `fit`, or of `predict`.
    """

    def __init__(self, model: Any, batch: Any, training: bool, kind: str) -> None:
        self.model, self.batch, self.training = model, batch, training
        self._there = list(_tensors([*batch, *held_by(model)]))
        self.live = LiveOnMeta(kind, self._there)
        self.before = self.live.size
        """Bytes that are there before the step: the model, and its batch."""
        self.saved: dict[str, int] = {}
        self.kept = 0
        """Bytes that stay from step to step, and belong to none of the other kinds."""
        self._spans: dict[str, dict[str, list[Span]]] = {}

    def run(self) -> "Rehearsal":
        """Goes through it."""
        for path, module in self.model.module.named_modules():
            stands_in(module)
            for direction in ("forward", "backward"):
                self._surround(module, direction, path, f"{direction} of {named(path, module)}")
        if self.training:
            for direction in ("forward", "backward"):
                self._surround(self.model.loss, direction, "loss", f"{direction} of the loss")
            self._surround(self.model.optimizer, "step", "update", "the update")
        try:
            with self._running(), self.live:
                self._steps()
        except (NotImplementedError, RuntimeError) as error:
            if not asks_for_numbers(error):
                raise
            raise RuntimeError(
                f"Model.plan expects a {'step' if self.training else 'net'} that can be gone "
                f"through without numbers; got {error}. Compute with tensors alone, without "
                "float(tensor) or an if that depends on one.") from error
        return self

    @contextmanager
    def _running(self) -> Iterator[None]:
        """As `fit` does it, or as `predict` does."""
        with ExitStack() as stack:
            if self.training:
                stack.enter_context(mode(self.model.module.modules(), training=True))
                stack.enter_context(torch.inference_mode())
            else:
                stack.enter_context(self.model.evaluating())
            yield

    def _steps(self) -> None:
        """Those of two updates, and what was alive during the second of them.

        The first one makes what stays: sums of metrics, rows of ones, tables. As in the loop, what
        a step has answered is there until the next one answers.
        """
        outcome: Any = None
        for _ in range(2):
            self._spans.clear()
            self.live.begin()
            self.kept = self.live.size - self.before - sum(self._sizes(outcome))
            for _ in range(self._batches_an_update()):
                outcome = self._train() if self.training else self.model.predict_step(self.batch[0])

    def _batches_an_update(self) -> int:
        accumulated = self.training and self.model.optimizer.gradient_accumulation_steps
        return accumulated or 1

    def _train(self) -> Any:
        outcome = self.model.train_step(*self.batch)
        with self.live.at("the metrics"), numbers_missed():  # then it is not counted
            self.model.record(self.model.scores, outcome, *self.batch)
        return outcome

    def usage(self, path: str) -> Usage:
        """What the module there takes."""
        spans = self._spans.get(path, {})
        highest = {direction: max((span.highest for span in found), default=0)
                   for direction, found in spans.items()}
        return Usage(highest.get("forward", 0), highest.get("backward", 0),
                     max((span.workspace for found in spans.values() for span in found),
                         default=0))

    def _surround(self, owner: Any, method: str, path: str, where: str) -> None:
        """Lets the count know of each call; the class stays, so what is fused stays fused."""
        call: Callable[..., Any] = getattr(owner, method)
        spans = self._spans
        ends_forward = owner is self.model.module and method == "forward"

        @wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.live.at(where) as span:
                y = call(*args, **kwargs)
            spans.setdefault(path, {}).setdefault(method, []).append(span)
            if ends_forward:
                self._look_at_saved()
            return y

        setattr(owner, method, counted)

    def _look_at_saved(self) -> None:
        """What each module has kept for its backward, when all of them have gone forward."""
        seen = self._ids_before()
        for path, module in self.model.module.named_modules():
            self.saved[path] = sum(self._sizes(module._saved, seen))

    def _ids_before(self) -> set[int]:
        return set(map(id_of, self._there))

    def _sizes(self, tree: Any, seen: set[int] | None = None) -> Iterator[int]:
        """The bytes of the tensors in a tree that the step has made, each memory once."""
        seen = self._ids_before() if seen is None else seen
        for tensor in _tensors(tree):
            key = id_of(tensor)
            if key not in seen:
                seen.add(key)
                yield self.live.counted(key)


def named(path: str, module: Module) -> str:
    """"3 Conv2d", for instance."""
    return f"{path} {type(module).__name__}".strip()


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in leaves(tree) if isinstance(leaf, Tensor))
