"""Containers in which one input goes several ways, or several inputs go one way."""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, ClassVar

from kerasish.containers.merges import Add
from kerasish.layers.shaping.identity import Identity
from kerasish.module import Module
from kerasish.places import at, refuse_silence, require_dy
from kerasish.trees import arranged, is_shape, leaves, parts_of, shape_of, summed


class Parallel(Module):
    """Feeds several branches with the same input.

        y = (f₁(x), f₂(x), ...), or merge of that        dx = Σ fᵢ'(dyᵢ)

    Shapes: x what every branch takes; y the tuple of their outputs, or what merge makes of it.
    Raises: TypeError if an argument is no module. An error from inside notes its place.

    Args:
        branches: the modules, or a list of them.
        merge: a module that takes the tuple: Concat(), Add(), ...; None leaves it a tuple.

    Example:
        >>> from kerasish.containers import Concat
        >>> from kerasish.layers import Linear, Tanh
        >>> Parallel(Linear(3), Tanh(), merge=Concat()).build((2,))
        (5,)
    """

    formula: ClassVar[str] = "y = (f₁(x), f₂(x), ...)"
    backward_formula: ClassVar[str] = "dx = Σ fᵢ'(dyᵢ)"

    _unseen = True

    def __init__(self, *branches: Module | Iterable[Module], merge: Module | None = None) -> None:
        flat = [each for branch in branches
                for each in (branch if isinstance(branch, list | tuple) else (branch,))]
        for branch in [*flat, *([] if merge is None else [merge])]:
            if not isinstance(branch, Module):
                raise TypeError(f"{type(self).__name__}(branches) expects modules; got {branch!r}. "
                                "Wrap it in one.")
        if not flat:
            raise ValueError(f"{type(self).__name__}(branches) expects one module or more; got "
                             "none. Identity() passes x on.")
        self.branches, self.merge = tuple(flat), merge

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from ((str(index), branch) for index, branch in enumerate(self.branches))
        if self.merge is not None:
            yield "merge", self.merge

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the modules are called: the branches on the same, the merge on all that they give."""
        names = [name for name, _ in self.named_children()]
        y = tuple(call(name, x) for name in names[: len(self.branches)])
        return y if self.merge is None else call("merge", y)

    def build(self, shape: Any) -> Any:
        outputs = []
        for index, branch in enumerate(self.branches):
            with at(self, f"branch {index}", branch):
                outputs.append(branch.build(shape))
        if self.merge is None:
            return tuple(outputs)
        with at(self, "merge", self.merge):
            return self.merge.build(tuple(outputs))

    def forward(self, x: Any) -> Any:
        outputs = []
        for index, branch in enumerate(self.branches):
            with at(self, f"branch {index}", branch):
                outputs.append(branch.forward(x))
        y: Any = tuple(outputs)
        if self.merge is not None:
            with at(self, "merge", self.merge):
                y = self.merge.forward(y)
        has_dx = self._unseen and all(part.is_floating_point() for part in leaves(x))
        self.save_for_backward(shape_of(y), has_dx)
        return y

    def backward(self, dy: Any) -> Any:
        shape, has_dx = self.saved_tensors()
        require_dy(self, dy, shape)
        if self.merge is not None:
            with at(self, "merge", self.merge):
                dy = self.merge.backward(dy)
                if dy is None:
                    refuse_silence(self.merge)
        gradients = {}
        for index in reversed(range(len(self.branches))):
            with at(self, f"branch {index}", self.branches[index]):
                if dy[index] is None:
                    self.branches[index].unwind()
                else:
                    gradients[index] = self.branches[index].backward(dy[index])
        dx = reduce(summed, gradients.values(), None)
        if has_dx and dx is not None:  # its code does not change: once is enough
            self._require_all(gradients)
        self._unseen = False
        return dx

    def _require_all(self, gradients: dict[int, Any]) -> None:
        """Refuses a branch without a gradient beside others with one: it would be left out."""
        for index, gradient in gradients.items():
            if gradient is None:
                with at(self, f"branch {index}", self.branches[index]):
                    refuse_silence(self.branches[index])

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            super().unwind()
            for _, part in reversed(list(self.named_children())):
                part.unwind()


class Residual(Parallel):
    """Adds what a body makes of x to x, or to what a shortcut makes of it.

        y = body(x) + x        dx = body'(dy) + dy

    Shapes: x what body takes; y the same shape, unless a shortcut or a merge changes it.
    Source: He et al. (2016), "Deep Residual Learning for Image Recognition", eq. 1 and 2.
    Raises: ValueError at build if body and shortcut give shapes that cannot be merged.

    Args:
        body: a module.
        shortcut: a module for the other way, a convolution of size 1 say; None passes x on.
        merge: a module that takes both; None adds them.

    Example:
        >>> from kerasish.layers import Linear
        >>> Residual(Linear(3)).build((3,))
        (3,)
    """

    formula: ClassVar[str] = "y = body(x) + shortcut(x)"
    backward_formula: ClassVar[str] = "dx = body'(dy) + shortcut'(dy)"

    def __init__(
        self, body: Module, shortcut: Module | None = None, merge: Module | None = None
    ) -> None:
        shortcut = Identity() if shortcut is None else shortcut
        super().__init__(body, shortcut, merge=Add() if merge is None else merge)
        self.body, self.shortcut = body, shortcut

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield "body", self.body
        yield "shortcut", self.shortcut
        if self.merge is not None:
            yield "merge", self.merge


class Shared(Module):
    """Applies one module to each of several inputs: they share its weights.

        y = (f(x₁), f(x₂), ...)        dxᵢ = f'(dyᵢ), and the gradients of f's weights add up

    Shapes: x a tuple or dict of tensors of one shape, y the same of outputs.
    Raises: TypeError if module is none; ValueError for shapes that differ.

    Args:
        module: the one module.

    Example:
        >>> from kerasish.layers import Linear
        >>> Shared(Linear(3)).build(((2,), (2,)))
        ((3,), (3,))
    """

    formula: ClassVar[str] = "y = (f(x₁), f(x₂), ...)"
    backward_formula: ClassVar[str] = "dxᵢ = f'(dyᵢ), and the gradients of f's weights add up"

    def __init__(self, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"Shared(module) expects a module; got {module!r}. Wrap it in one.")
        self.module = module

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the module is called: once for each input."""
        return arranged(x, [call("module", part) for part in leaves(x)])

    def build(self, shape: Any) -> Any:
        if is_shape(shape):
            raise ValueError(f"{self!r} expects a tuple or dict of tensors; got one of shape "
                             f"{shape} a sample. Call it on (x1, x2).")
        with at(self, "module", self.module):
            outputs = [self.module.build(each) for each in parts_of(shape)]
        return arranged(shape, outputs)

    def forward(self, x: Any) -> Any:
        with at(self, "module", self.module):
            y = arranged(x, [self.module.forward(part) for part in leaves(x)])
        self.save_for_backward(shape_of(y))
        return y

    def backward(self, dy: Any) -> Any:
        (shape,) = self.saved_tensors()
        require_dy(self, dy, shape)
        gradients = []
        with at(self, "module", self.module):
            for part in reversed(parts_of(dy)):
                if part is None:
                    self.module.unwind()
                gradients.append(None if part is None else self.module.backward(part))
        if all(gradient is None for gradient in gradients):
            return None  # as one tensor without a gradient is None
        return arranged(dy, gradients[::-1])

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            (shape,) = self._saved[-1]
            super().unwind()
            for _ in parts_of(shape):
                self.module.unwind()
