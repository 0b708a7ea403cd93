"""Memory for time: the inside of a module is forgotten, and computed again on the way back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from kerasish.differentiable import saving
from kerasish.module import Module
from kerasish.places import at, require_dy
from kerasish.random import stream
from kerasish.trees import shape_of


class Recompute(Module):
    """Keeps only its input, and runs forward again in backward, with the same random numbers.

        y = f(x)

    Running statistics are updated once. The memory for what f saves is needed only while the
    backward of f runs; the price is one more forward.

    Shapes: as those of the module.
    Source: Chen et al. (2016), "Training Deep Nets with Sublinear Memory Cost".
    Raises: TypeError if module is none.

    Args:
        module: f.

    Example:
        >>> from kerasish.layers import Linear
        >>> Recompute(Linear(3)).build((2,))
        (3,)
    """

    formula: ClassVar[str] = "y = f(x), computed twice"
    backward_formula: ClassVar[str] = "dx = f'(dy), after f(x) is computed again"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})

    def __init__(self, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"Recompute(module) expects a module; got {module!r}. Wrap it in one.")
        self.module = module

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the module is called; that backward calls it again is not told."""
        return call("module", x)

    def build(self, shape: Any) -> Any:
        with at(self, "module", self.module):
            return self.module.build(shape)

    def forward(self, x: Any) -> Any:
        modes = [part.training for part in self.module.modules()]
        random_state = _generator().get_state() if any(modes) else None
        with at(self, "module", self.module), saving(False):
            y = self.module.forward(x)
        self.save_for_backward(x, modes, random_state, shape_of(y))
        return y

    def backward(self, dy: Any) -> Any:
        x, modes, random_state, shape = self.saved_tensors()
        require_dy(self, dy, shape)
        with at(self, "module", self.module):
            with saving(True), self._as_it_was(modes, random_state):
                self.module.forward(x)
            return self.module.backward(dy)

    @contextmanager
    def _as_it_was(self, modes: list[bool], random_state: Any) -> Iterator[None]:
        """The modes and the generator of the first forward; afterwards all is as before."""
        parts = list(self.module.modules())
        buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        modes_now, generator = [part.training for part in parts], _generator()
        state_now = generator.get_state()
        try:
            for part, training in zip(parts, modes, strict=True):
                part.training = training
            if random_state is not None:
                generator.set_state(random_state)
            yield
        finally:
            generator.set_state(state_now)
            for part, training in zip(parts, modes_now, strict=True):
                part.training = training
            for buffer, value in buffers:
                buffer.copy_(value)


def _generator() -> torch.Generator:
    """The generator that noise is drawn from."""
    return stream() or torch.default_generator
