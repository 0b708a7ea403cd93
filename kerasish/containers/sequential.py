"""The container of most nets: one module after the other."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from kerasish.containers.planned import Planned
from kerasish.containers.steps import steps
from kerasish.module import Module
from kerasish.node import Node
from kerasish.parameter import Parameter
from kerasish.places import learns, note_place, refuse_silence, require_dx, require_dy
from kerasish.trees import shape_of
from kerasish.types import Shape


class Sequential(Planned):
    """Feeds each module with the output of the one before it.

        y = fₙ(… f₂(f₁(x)) …)        dx = f₁'(f₂'(… fₙ'(dy) …))

    Shapes: x is the first module's, y the last one's.
    Raises: TypeError if an argument is no module. An error from inside notes its place.

    Args:
        layers: the modules, or a list of them; one that comes several times shares its weights.

    Example:
        >>> from kerasish.layers import Linear, ReLU
        >>> Sequential(Linear(3), ReLU(), Linear(1)).build((5,))
        (1,)
    """

    formula: ClassVar[str] = "y = fₙ(… f₂(f₁(x)) …)"
    backward_formula: ClassVar[str] = "dx = f₁'(f₂'(… fₙ'(dy) …))"
    bound: ClassVar[tuple[str, ...]] = ("_forth", "_back", "_back_to_stem")

    _unseen = True

    def __init__(self, *layers: Module | Iterable[Module]) -> None:
        self.layers: tuple[Module, ...] = ()
        self._extend(each for layer in layers
                     for each in (layer if isinstance(layer, list | tuple) else (layer,)))

    def append(self, layer: Module) -> "Sequential":
        """Puts one more module at the end of a container that is not built yet."""
        if self.built:
            raise RuntimeError(
                "Sequential.append(layer) expects a container that is not built yet; got one built "
                f"for inputs of shape {self.input_shape}. Make Sequential(old, layer) instead."
            )
        self._extend([layer])
        self._planned_at = -1
        return self

    def _extend(self, layers: Iterable[Any]) -> None:
        more = tuple(layers)
        for layer in more:
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential(layers) expects modules; got {layer!r}. "
                                f"{_instead_of(layer)}")
        self.layers = (*self.layers, *more)

    def build(self, shape: Shape) -> Shape:
        index = 0
        try:
            for index, layer in enumerate(self.layers):  # noqa: B007 (read on error)
                given, shape = shape, layer.build(shape)
                if shape is None:
                    raise TypeError(f"{layer!r}.build(shape) expects to return the shape of its "
                                    f"output; got None for samples of {given}. Return it.")
        except Exception as error:
            self._note_place(error, index)
            raise
        return shape

    def forward(self, x: Any) -> Any:
        if self._planned_at != Parameter.revisions:
            self._plan()
        index, shapes, unseen = 0, [], self._unseen
        try:
            for index, forward in self._forth:  # noqa: B007 (read on error)
                if unseen:
                    shapes.append(shape_of(x))
                x = forward(x)
        except Exception as error:
            self._note_place(error, index)
            raise
        self.save_for_backward(shape_of(x), shapes)
        return x

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Goes back through the modules.

        With need_dx=False it stops where no gradient is needed any more, and returns None.
        """
        shape, shapes = self.saved_tensors()
        require_dy(self, dy, shape)
        index, dx = 0, dy
        last = index
        try:
            for index, backward in self._back if need_dx else self._back_to_stem:
                if dx is None:  # integers have no gradient: nothing goes further down
                    self.layers[index].unwind()
                    if shapes and learns(self.layers[index]):
                        index = last
                        refuse_silence(self.layers[last])
                    continue
                dx, last = backward(dx), index
                if shapes:
                    require_dx(self.layers[index], dx, shapes.pop())  # its code does not change
        except Exception as error:
            self._note_place(error, index)
            raise
        self._unseen = False
        return dx if need_dx else None

    def unwind(self, dy: Any = None) -> None:
        if self._saved:  # else no forward has bound the steps
            super().unwind()
            for index, _ in self._back:
                self.layers[index].unwind()

    def _plan(self) -> None:
        """Binds the steps; again when a parameter is frozen or thawed."""
        forth = steps(self.layers)
        self._forth = [(step.place, step.forward) for step in forth]
        self._back = [(step.place, step.backward) for step in reversed(forth)]
        self._back_to_stem = [(step.place, step.backward_to_stem) for step in reversed(forth)]
        self._planned_at = Parameter.revisions

    def _note_place(self, error: Exception, index: int) -> None:
        note_place(error, self, f"layer {index}", self.layers[index])

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the modules are called: each on what the one before it gives."""
        for name, _ in self.named_children():
            x = call(name, x)
        return x

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(index), layer) for index, layer in enumerate(self.layers))

    def get_config(self) -> dict[str, Any]:
        """`{"layers": (...)}`: `Sequential(*config["layers"])` is its twin."""
        return {"layers": self.layers}

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]


def _instead_of(layer: Any) -> str:
    """What to write in the place of something that is no module."""
    if isinstance(layer, type):
        return f"Write {layer.__name__}(...)."
    if isinstance(layer, str):
        return "Write the layer itself, ReLU() for instance."
    if isinstance(layer, Node):
        return "Make a Graph of it: Graph(inputs, outputs)."
    if type(layer).__module__.startswith("torch."):
        return "Make one of it with kerasish.export.from_torch."
    return "Wrap it in one."
