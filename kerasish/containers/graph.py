"""Any wiring without circles: several inputs and outputs, branches, and shared modules."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

from kerasish.containers.grants import takes
from kerasish.containers.planned import Planned
from kerasish.containers.wiring import forward_order, in_order, like_inputs, placed
from kerasish.module import Module
from kerasish.node import Node
from kerasish.parameter import Parameter
from kerasish.places import learns, note_place, refuse_silence, require_dx, require_dy
from kerasish.trees import leaves, mapped, shape_of, summed
from kerasish.types import Shape


def Input(shape: Shape) -> Node:
    """A symbolic input of a Graph: what modules are called on while its wiring is written.

    Raises: ValueError for what is no shape.

    Args:
        shape: of one sample, without the batch axis.

    Example:
        >>> Input((3,))
        Input((3,))
    """
    sizes = shape if isinstance(shape, list | tuple) else (0,)
    if not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError(f"Input(shape) expects the sizes of a sample in a tuple, each at least 1; "
                         f"got {shape!r}. Write Input((3,)) for three features.")
    return Node(None, (), tuple(shape))


class _Step(NamedTuple):
    """One call of a module in the graph."""

    place: int
    """Which of the graph's modules is called."""
    forward: Any
    backward: Any
    """None where no gradient is needed below."""
    source: Any
    """The slot, or the tuple or dict of slots, that it reads."""
    target: int
    """The slot that its output goes to."""
    below: bool
    """Whether what comes before it learns, and so needs its dx."""


class Graph(Planned):
    """Modules wired without circles, from symbolic inputs to symbolic outputs.

        y = outputs(x), in the order of the wiring        dx: the exact reverse

    A module that is called at several nodes shares its weights: their gradients add up.

    Shapes: x and y a tensor, or tuples or dicts of them as given here.
    Raises: ValueError if an output needs an input that is not given, if an input leads nowhere, and
        for x of another structure. An error from inside notes its place.

    Args:
        inputs: an Input, or a tuple or dict of them.
        outputs: a node, or a tuple or dict of them.

    Example:
        >>> from kerasish.containers import Add
        >>> from kerasish.layers import Linear
        >>> x = Input((3,))
        >>> h = Linear(4)(x)
        >>> Graph(x, Add()((h, Linear(4)(h)))).build((3,))
        (4,)
    """

    formula: ClassVar[str] = "y = a graph of modules"
    backward_formula: ClassVar[str] = (
        "dx = the graph in reverse: where ways part, their gradients add up")
    bound: ClassVar[tuple[str, ...]] = ("_steps", "_steps_to_stem")

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._nodes = forward_order(inputs, outputs)
        self.parts = list(dict.fromkeys(node.module for node in self._nodes))
        slots = {id(node): slot for slot, node in enumerate([*leaves(inputs), *self._nodes])}
        self._wires = [mapped(lambda node: slots[id(node)], node.inputs) for node in self._nodes]
        self._outputs = mapped(lambda node: slots[id(node)], outputs)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(index), part) for index, part in enumerate(self.parts))

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the modules are called: node by node, in the order of the wiring."""
        several = not isinstance(self.inputs, Node) and not isinstance(x, tuple | list | dict)
        values = [x for _ in leaves(self.inputs)] if several else in_order(self.inputs, x)
        for node, wire in zip(self._nodes, self._wires, strict=True):
            values.append(call(str(self.parts.index(node.module)), placed(values, wire)))
        return placed(values, self._outputs)

    def build(self, shape: Any) -> Any:
        shapes = in_order(self.inputs, shape)
        stated = [node.shape for node in leaves(self.inputs)]
        if shapes != stated and not any(part.built for part in self.parts):
            wanted, got = (", ".join(map(str, each)) for each in (stated, shapes))
            raise ValueError(f"{self!r} expects samples of the shapes {wanted}; got {got}. State "
                             "these in Input(shape); several inputs come in a tuple or a dict.")
        for node, wire in zip(self._nodes, self._wires, strict=True):
            try:
                shapes.append(node.module.build(placed(shapes, wire)))
            except Exception as error:
                self._note(error, self.parts.index(node.module))
                raise
        return placed(shapes, self._outputs)

    def forward(self, x: Any) -> Any:
        if self._planned_at != Parameter.revisions:
            self._plan()
        values, place = in_order(self.inputs, x), 0
        try:
            for place, forward, _, source, _, _ in self._steps:  # noqa: B007 (read on error)
                values.append(forward(
                    values[source] if type(source) is int else placed(values, source)))
        except Exception as error:
            self._note(error, place)
            raise
        y = placed(values, self._outputs)
        self.save_for_backward(shape_of(y), [shape_of(value) for value in values])
        return y

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Goes back through the graph; with need_dx=False no further than needed."""
        y_shape, shapes = self.saved_tensors()
        require_dy(self, dy, y_shape)
        gradients: list[Any] = [None] * len(shapes)
        self._scatter(gradients, self._outputs, dy)
        place = 0
        try:
            for place, _, backward, source, target, below in reversed(
                self._steps if need_dx else self._steps_to_stem
            ):
                if gradients[target] is None or backward is None:
                    self.parts[place].unwind()
                    continue
                dx = backward(gradients[target])
                if dx is None and below:
                    refuse_silence(self.parts[place])
                require_dx(self.parts[place], dx, placed(shapes, source))
                self._scatter(gradients, source, dx)
        except Exception as error:
            self._note(error, place)
            raise
        if not need_dx:
            return None
        dx = gradients[: len(list(leaves(self.inputs)))]
        if all(part is None for part in dx):
            return None  # as one tensor without a gradient is None
        return like_inputs(self.inputs, dx)

    def _scatter(self, gradients: list[Any], slots: Any, given: Any) -> None:
        """Adds gradients to those of the slots that they belong to."""
        if given is None:
            return
        if type(slots) is int:
            gradients[slots] = summed(gradients[slots], given)
            return
        for key in slots if isinstance(slots, dict) else range(len(slots)):
            self._scatter(gradients, slots[key], given[key])

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            super().unwind()
            for step in reversed(self._steps):
                self.parts[step.place].unwind()

    def _plan(self) -> None:
        """Binds the steps; again when a parameter is frozen or thawed."""
        inputs = len(list(leaves(self.inputs)))
        trains = [False] * inputs
        self._steps, self._steps_to_stem = [], []
        for target, (node, wire) in enumerate(zip(self._nodes, self._wires, strict=True), inputs):
            module = node.module
            below = any(trains[slot] for slot in leaves(wire))
            own = learns(module)
            trains.append(below or own)
            backward = module.backward if below or own else None
            if backward and not below and takes(backward, "need_dx"):
                backward = _without_dx(module)
            place = self.parts.index(module)
            self._steps.append(_Step(place, module.forward, module.backward, wire, target, below))
            self._steps_to_stem.append(_Step(place, module.forward, backward, wire, target, below))
        self._planned_at = Parameter.revisions

    def _note(self, error: Exception, place: int) -> None:
        note_place(error, self, f"part {place}", self.parts[place])

    def __repr__(self) -> str:
        return f"Graph({len(self.parts)} modules, inputs={self.inputs!r})"


def _without_dx(module: Any) -> Any:
    return lambda dy: module.backward(dy, need_dx=False)
