"""From a module to a model that can be trained: choices first, sizes when data is first seen."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kerasish import losses, optimizers
from kerasish.containers import Sequential
from kerasish.data import Arrays
from kerasish.losses import Loss
from kerasish.metrics import Metric, Scores, decided_by, named_metrics
from kerasish.module import Module
from kerasish.training import Trainer
from kerasish.types import Shape


class Compilable(Trainer):
    """A trainer whose optimizer, loss and metrics are chosen by `compile`.

    What data decides, the sizes of parameters and the meaning of "accuracy", is made with it.
    """

    compiled = False
    """Whether optimizer and loss are chosen."""
    metrics: Mapping[str, Metric | None] = {}
    """The metrics by the names that logs show; None for an "accuracy" that the targets decide."""

    def compile(self, optimizer: Any, loss: Any, metrics: Any = None) -> None:
        """Chooses how to train; all of it is checked here.

        Raises: ValueError for unknown names, with the nearest ones, and for a loss that does not
            fit the model's last module; TypeError for classes, and for a function as a loss.

        Args:
            optimizer: a name, "sgd" or "adam", or an Optimizer.
            loss: a name, "mse" or "cross_entropy" for instance, or a Loss.
            metrics: names, Metrics or functions of (y_true, y_pred), one or a list. "accuracy"
                means what the loss, the last module or the targets say; `summary()` shows what.
        """
        new_optimizer, new_loss = optimizers.get(optimizer), losses.get(loss)
        check_ending(self.module, new_loss)
        named = named_metrics(metrics, new_loss, last_leaf(self.module).y_range)
        new_optimizer.claim(self)
        self.optimizer, self.loss, self.metrics = new_optimizer, new_loss, named
        self._scores, self.compiled = None, True
        self._prepare()

    @property
    def built(self) -> bool:
        """Whether the parameters exist."""
        return self.module.built

    @property
    def metrics_names(self) -> list[str]:
        """The keys of `evaluate(return_dict=True)`, known once the model is compiled."""
        return ["loss", *self.metrics]

    def build(self, shape: Shape) -> Shape:
        """Makes the parameters for samples of this shape; the first fit does it by itself.

        Returns: the shape of the output, without the batch axis.
        """
        with self._undone_on_error():
            output = self.module.build(tuple(shape))
            self._prepare()
        return output

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"Model.{method} expects a compiled model; got one without optimizer and loss. "
                "Call model.compile(optimizer='sgd', loss='mse') first."
            )

    def _make_ready(self, data: Arrays, validation: Arrays | None = None) -> Shape:
        """Builds what is not built, checks the data against it, and decides "accuracy".

        Returns: the shape of the output, without the batch axis.
        """
        for part in (data, validation):
            if part is not None:
                output = self.module.build(tuple(part.x.shape[1:]))
                if part.y is not None:
                    self._check_targets((len(part), *output), part.y)
        self._prepare()
        return output

    def _check_targets(self, y_pred: Shape, y: Tensor) -> None:
        self.loss.check_targets(y_pred, y)
        if self._scores is None:
            decided = decided_by(self.metrics, self.loss, last_leaf(self.module).y_range, y)
            self.metrics, self._scores = {**decided}, Scores(decided)
        for metric in self.scores.metrics.values():
            metric.check_shapes(y_pred, tuple(y.shape))

    def _prepare(self) -> None:
        """Moves the parameters to the device and into the optimizer's flat vectors, once."""
        if not self.built:
            return
        if all(parameter.flat is None for parameter in self.module.parameters()):
            self.module.to(self.device)
        if self.compiled and not self.optimizer.built:
            self.optimizer.build(self.module.parameters())

    def _dtype(self) -> torch.dtype:
        """The type of the parameters, which floats in the data are cast to."""
        kinds = (parameter.data.dtype for parameter in self.module.parameters())
        return next(kinds, torch.get_default_dtype())

    def _placed(self, data: Arrays) -> Arrays:
        return data.to(self.device, self._dtype())

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Leaves the model as it was, unbuilt if it was, when data or callbacks are refused."""
        parts = [self, *([self.optimizer] if self.compiled else []), *self.module.modules()]
        before = [(part, dict(vars(part))) for part in parts]
        try:
            yield
        except BaseException:
            for part, attributes in before:
                vars(part).clear()
                vars(part).update(attributes)
            raise


def check_ending(module: Module, loss: Loss) -> None:
    """Refuses a model that gives probabilities to a loss that takes logits, or the like.

    Raises: ValueError naming the ways out.
    """
    last = last_leaf(module)
    loss.check_ending(last, last.y_range)


def last_leaf(module: Module) -> Module:
    """The module that gives the output its values: the last in a Sequential but for reshaping.

    Of other containers only their own declaration is known.
    """
    if not isinstance(module, Sequential) or not module.layers:
        return module
    shaping = [layer.returns_view and not any(layer.children()) and layer.backward_reads == set()
               for layer in module.layers]
    values = [layer for layer, shapes in zip(module.layers, shaping, strict=True) if not shapes]
    return last_leaf(values[-1]) if values else module
