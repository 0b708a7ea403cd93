"""What is differentiated: a whole model, a loss or a module alone, each at one point in float64."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.differences import floating
from kerasish.differentiable import saving
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.random import drawing_from
from kerasish.trees import leaves

_JITTER = 1e-3
"""As a share of a tensor's usual size, of 0.1 at least: far enough from a kink, and no further."""


class Part(NamedTuple):
    """A tensor of the point, and the gradient that backward gives for it."""

    name: str
    values: Tensor
    gradient: Any
    """None if backward gives none."""


class Probe:
    """A number that depends on tensors, and its gradients by backward, where the tensors are now.

    A subclass writes `value` and `back`. Noise is drawn from the same seed in each pass, and what
    passes change besides, running means for instance, is put back.

    Args:
        module: whose parameters the number depends on; None for a loss.
        x: what else it depends on.
        seed: decides the noise.
    """

    def __init__(self, module: Module | None, x: Any, seed: int) -> None:
        self.module, self.x, self.seed = module, x, seed
        self._buffers = [] if module is None else [(each, each.clone())
                                                   for each in module.buffers()]

    def value(self) -> Tensor:
        """The number, by forward."""
        raise NotImplementedError

    def back(self) -> Any:
        """The gradient of x, by backward; it adds those of the parameters."""
        raise NotImplementedError

    def gradient_of(self, parameter: Parameter) -> Tensor:
        """The gradient of a parameter after `back`."""
        return parameter.grad.clone()

    def __call__(self) -> float:
        """The number, with nothing saved for backward."""
        with saving(False):
            return float(self._seeded(self.value))

    def parts(self) -> list[Part]:
        """All that the number is differentiated by, with the gradients of one backward."""
        if self.module is not None:
            self.module.zero_grad()
        self._seeded(self.value)
        dx = self.back()
        return [*self._parameters(), *(Part(*each) for each in floating("x", self.x, dx))]

    @contextmanager
    def elsewhere(self, seed: int) -> Iterator[None]:
        """Another point, close by, inside the block."""
        noise = torch.Generator().manual_seed(seed)
        moved = [(each, each.clone()) for each in self._values()]
        try:
            for each, before in moved:
                size = max(float(before.square().mean().sqrt()), 0.1)
                each.add_(torch.randn(each.shape, dtype=each.dtype, generator=noise),
                          alpha=_JITTER * size)
            yield
        finally:
            for each, before in moved:
                each.copy_(before)

    def _parameters(self) -> Iterator[Part]:
        for path, each in () if self.module is None else self.module.named_parameters():
            if each.trainable:
                yield Part(path, each.data, self.gradient_of(each))

    def _values(self) -> Iterator[Tensor]:
        """All that can be moved, frozen parameters too."""
        yield from () if self.module is None else (each.data for each in self.module.parameters())
        yield from (each for each in leaves(self.x)
                    if each.is_floating_point() and each.numel())

    def _seeded(self, forward: Callable[[], Tensor]) -> Tensor:
        for buffer, before in self._buffers:
            buffer.copy_(before)
        with drawing_from(torch.Generator().manual_seed(self.seed)):
            return forward()


class WholeProbe(Probe):
    """The loss of a model on a batch, with the penalties of regularizers.

    Args:
        model: a compiled one whose module is in float64.
        batch: x, y and sample weights.
        seed: as for a Probe.
    """

    def __init__(self, model: Any, batch: Any, seed: int) -> None:
        super().__init__(model.module, batch[0], seed)
        self.model, self.targets = model, batch[1:]

    def value(self) -> Tensor:
        self.y_pred = self.model.module.forward(self.x)
        value: Tensor = self.model.objective(self.y_pred, *self.targets)
        return value

    def back(self) -> Any:
        return self.model.module.backward(self.model.loss.backward())

    def gradient_of(self, parameter: Parameter) -> Tensor:
        gradient = super().gradient_of(parameter)
        if parameter.regularizer:
            gradient += parameter.regularizer.gradient(parameter.data)
        return gradient


class LossProbe(Probe):
    """A loss alone, at predictions.

    Args:
        loss: the loss.
        batch: predictions, targets and sample weights.
        seed: as for a Probe.
    """

    def __init__(self, loss: Any, batch: Any, seed: int) -> None:
        super().__init__(None, batch[0], seed)
        self.loss, self.targets = loss, batch[1:]

    def value(self) -> Tensor:
        value: Tensor = self.loss.forward(self.x, *self.targets)
        return value

    def back(self) -> Any:
        return self.loss.backward()


class ModuleProbe(Probe):
    """A module alone, at an x and a dy:  Σ dy · forward(x).

    Args:
        module: the module.
        x: its input.
        dy: the gradient that comes to it from above.
        seed: as for a Probe.
    """

    def __init__(self, module: Module, x: Any, dy: Any, seed: int) -> None:
        super().__init__(module, x, seed)
        self.dy = dy

    def value(self) -> Tensor:
        assert self.module is not None
        return _product(self.module.forward(self.x), self.dy)

    def back(self) -> Any:
        assert self.module is not None
        return self.module.backward(self.dy)


class PenaltyProbe(Probe):
    """The penalty that a regularizer has for a parameter.

    Args:
        parameter: whose regularizer it is.
        seed: as for a Probe.
    """

    def __init__(self, parameter: Parameter, seed: int) -> None:
        super().__init__(None, parameter.data, seed)
        self.regularizer = parameter.regularizer

    def value(self) -> Tensor:
        value: Tensor = self.regularizer.penalty(self.x)
        return value

    def back(self) -> Any:
        return self.regularizer.gradient(self.x)


def _product(y: Any, dy: Any) -> Tensor:
    """Σ y · dy over all parts that have a gradient."""
    if isinstance(y, Tensor):
        return (y * dy).sum() if dy is not None else torch.zeros(())
    if dy is None:
        return torch.zeros(())
    keys: Any = y if isinstance(y, dict) else range(len(y))
    return sum((_product(y[key], dy[key]) for key in keys), start=torch.zeros(()))
