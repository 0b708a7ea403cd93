"""One step of training as a function of tensors: what it reads and changes comes in, and goes out.

The step runs as it is, once, on copies, while every operation is written down. What it changes are
the parameters that are trained, the slots of the optimizer and the buffers of the modules.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.jit.formulas import FORMULAS
from kerasish.jit.noise import Draw, Drawing
from kerasish.jit.outs import COPIED
from kerasish.jit.products import WRITTEN_OUT
from kerasish.optimizers.flat import lined, shaped
from kerasish.optimizers.segments import Segment
from kerasish.optimizers.stages import add_penalties, clipping, project
from kerasish.parameter import Parameter, storage_of
from kerasish.random import drawing_from
from kerasish.trees import filled, leaves


class Untraceable(Exception):
    """A step cannot be compiled; the text says what is in the way."""


class Place(NamedTuple):
    """Where the numbers of a parameter, or a slot of it, are in flat vectors."""

    vector: int
    start: int
    stop: int
    shape: tuple[int, ...]
    channels_last: bool

    def of(self, vectors: Sequence[Tensor]) -> Tensor:
        """The tensor there, as a view."""
        line = vectors[self.vector][self.start : self.stop]
        return shaped(line, self.shape, self.channels_last)


class Tensors(NamedTuple):
    """What a step works on, where it is kept."""

    trained: list[Parameter]
    frozen: list[Parameter]
    vectors: list[Tensor]
    """The flat vectors of weights and slots."""
    places: list[Place]
    """Of the trained parameters, and then of the slots of each; its running average is the last."""
    frozen_places: list[Place]
    buffers: list[tuple[Any, str]]

    @property
    def kept_buffers(self) -> list[Tensor]:
        """The buffers as they are."""
        return [getattr(part, name) for part, name in self.buffers]


def tensors_of(trainer: Any) -> Tensors:
    """Where a trainer's step finds what it reads and changes."""
    optimizer, parameters = trainer.optimizer, list(trainer.module.parameters())
    names = ["data", *optimizer.kept]
    numbers = {(flat, name): i for i, (flat, name) in enumerate(
        (flat, name) for flat in optimizer.flats for name in names)}

    def place(p: Any, name: str) -> Place:
        start = p.flat.offsets[p]
        return Place(numbers[p.flat, name], start, start + p.data.numel(), tuple(p.shape),
                     p in p.flat.turned)

    trained = [p for p in parameters if p.trainable]
    frozen = [p for p in parameters if not p.trainable]
    return Tensors(
        trained, frozen,
        [flat.data if name == "data" else optimizer.state[flat][name] for flat, name in numbers],
        [place(p, "data") for p in trained] + [
            place(p, name) for p in trained for name in optimizer.kept],
        [place(p, "data") for p in frozen],
        [(part, name) for part in trainer.module.modules() for name in part._buffer_names])


class Step(NamedTuple):
    """A step that was written down."""

    graph: Any
    """`graph(carried, frozen, batch, numbers, noise)` answers what is carried on, and outputs."""
    tensors: Tensors
    draws: list[Draw]
    y_pred: Any
    """The structure of the predictions; None where nobody asks for them."""
    values: tuple[str, ...]
    """The names of what the loss is made of."""
    outputs: list[tuple[tuple[int, ...], torch.dtype]]
    """Shapes and types: of the loss, of its values, and of the predictions."""


def trace(trainer: Any, batch: Any, numbers: Tensor) -> Step:
    """Writes down the step of a trainer on batches like this one; changes nothing.

    Raises: Untraceable, or whatever the step itself raises.

    Args:
        trainer: a compiled model.
        batch: (x, y, sample weights).
        numbers: those of one update.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    tensors = tensors_of(trainer)
    run = _Run(trainer, tensors, batch)
    noise_of_nobody = torch.Generator(device=numbers.device)
    with torch.inference_mode(False), torch.no_grad(), drawing_from(noise_of_nobody):
        inputs = tuple([each.clone() for each in part] for part in (
                [*(place.of(tensors.vectors) for place in tensors.places), *tensors.kept_buffers],
                [p.data for p in tensors.frozen], list(leaves(batch)), list(numbers.unbind())))
        with Drawing() as drawing:
            _, outputs = run(inputs[0], inputs[1], inputs[2], inputs[3], None)
        noise = [draw.place_for(1, inputs[-1][0].device)[0].fill_(0.5) for draw in drawing.draws]
        products = WRITTEN_OUT if inputs[-1][0].device.type == "cpu" else {}
        graph = make_fx(run, decomposition_table={**COPIED, **products})(*inputs, noise)
    _check_constants(graph, trainer)
    return Step(graph, tensors, drawing.draws, run.y_pred, run.values,
                [(tuple(each.shape), each.dtype) for each in outputs])


class _Run:
    """The step on tensors that are given, in the place of its own."""

    def __init__(self, trainer: Any, tensors: Tensors, batch: Any) -> None:
        self.trainer, self.tensors, self.batch = trainer, tensors, batch
        self.wants_predictions = bool(trainer.scores.metrics)

    def __call__(
        self, carried: list[Tensor], frozen: list[Tensor], batch: list[Tensor],
        numbers: list[Tensor], noise: list[Tensor] | None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Answers what is carried on, and the loss, its values and the predictions."""
        carried = [each.clone() for each in carried]  # the loop's own are not written into
        rest = iter(carried)
        weights = list(islice(rest, len(self.tensors.trained)))
        slots = [list(islice(rest, len(self.trainer.optimizer.kept))) for _ in weights]
        buffers = list(rest)
        with self._lent(weights, frozen, buffers):
            if noise is None:
                outputs = self._step(filled(self.batch, batch), slots, numbers)
            else:
                with Drawing(noise):
                    outputs = self._step(filled(self.batch, batch), slots, numbers)
            buffers = [getattr(part, name) for part, name in self.tensors.buffers]
        return [*weights, *(slot for each in slots for slot in each), *buffers], outputs

    def _step(self, batch: Any, slots: list[list[Tensor]], numbers: list[Tensor]) -> list[Tensor]:
        trainer, (x, y, sample_weight) = self.trainer, batch
        y_pred = trainer.forward(x)
        loss = trainer.objective(y_pred, y, sample_weight)
        values = dict(trainer.loss.values)
        trainer.backward(trainer.loss.backward())
        _update(trainer.optimizer, self.tensors.trained, slots, numbers)
        trainer.require_unwound()
        self.y_pred, self.values = y_pred if self.wants_predictions else None, tuple(values)
        return [loss, *values.values(), *leaves(self.y_pred)]

    @contextmanager
    def _lent(
        self, weights: list[Tensor], frozen: list[Tensor], buffers: list[Tensor]
    ) -> Iterator[None]:
        """Inside the block parameters and buffers are these tensors."""
        parameters = [*self.tensors.trained, *self.tensors.frozen]
        before = [(p, p.storage) for p in parameters]
        own = [(part, name, getattr(part, name)) for part, name in self.tensors.buffers]
        unwound = self.trainer.unwound
        try:
            for p, data in zip(parameters, [*weights, *frozen], strict=True):
                p.lie_in(storage_of(data, torch.zeros_like(data), p.flat))
            for (part, name), buffer in zip(self.tensors.buffers, buffers, strict=True):
                setattr(part, name, buffer)
            yield
        finally:
            for p, storage in before:
                p.lie_in(storage)
            for part, name, buffer in own:
                setattr(part, name, buffer)
            for part in self.trainer.module.modules():
                part.forget()
            self.trainer.loss.forget()
            self.trainer.unwound = unwound


def _update(
    optimizer: Any, trained: list[Parameter], slots: list[list[Tensor]], numbers: list[Tensor]
) -> None:
    """What `Optimizer.step` does, in its order, parameter by parameter."""
    regularized = [p for p in trained if p.regularizer is not None]
    if regularized:
        add_penalties(regularized)
    turned = {p for flat in optimizer.flats for p in flat.turned}
    lines = [[lined(each, p in turned) for each in (p.data, p.grad)] for p in trained]
    segments = [Segment(p.learning_rate_multiplier, w, g, [], [len(w)], [])
                for p, (w, g) in zip(trained, lines, strict=True)]
    clip = clipping(segments, optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)
    if clip and segments:
        clip()
    rate, share, *more = numbers
    update, own = FORMULAS[type(optimizer)].update, len(optimizer.slots)
    for p, each in zip(trained, slots, strict=True):
        α, *others = (number.to(p.data.dtype) for number in (rate, *more))
        if p.learning_rate_multiplier != 1.0:
            α = α * p.learning_rate_multiplier
        if optimizer.weight_decay and p.decay:
            p.data.mul_(1 - α * optimizer.weight_decay)
        update(optimizer, p.data, p.grad, each[:own], α, *others)
    if optimizer.use_ema:
        for p, each in zip(trained, slots, strict=True):
            each[own].copy_(each[own] + (p.data - each[own]) * share.to(p.data.dtype))
    constrained = [p for p in trained if p.constraint is not None]
    if constrained:
        project(constrained)


def _check_constants(graph: Any, trainer: Any) -> None:
    """Refuses a step that reads or changes tensors which are none of those that it was given."""
    mine = {flat.data.untyped_storage().data_ptr() for flat in trainer.optimizer.flats}
    mine |= {flat.grad.untyped_storage().data_ptr() for flat in trainer.optimizer.flats}
    constants = set()
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            constants.add(node)
            value = getattr(graph, node.target)
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() in mine:
                raise Untraceable("a module that keeps views of its parameters")
        elif node.op == "call_function" and constants.intersection(_written(node)):
            raise Untraceable(f"a tensor that is no buffer and that {node.target} writes into")


def _written(node: Any) -> Sequence[Any]:
    """The arguments that an operation writes into."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return []
    named = [(each, node.args[i] if i < len(node.args) else node.kwargs.get(each.name))
             for i, each in enumerate(schema.arguments)]
    return [value for each, value in named
            if each.alias_info is not None and each.alias_info.is_write
            and isinstance(value, torch.fx.Node)]


