"""A net as boxes and arrows: which module is called on what, found without running any data."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kerasish.containers import Graph, Recompute, Sequential
from kerasish.module import Module
from kerasish.node import inferred_shape
from kerasish.parameter import Parameter
from kerasish.paths import joined
from kerasish.trees import leaves, mapped, mapped_shapes
from kerasish.types import Shape

Wiring = Callable[[Any, Callable[[str, Any], Any]], Any]


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor on its way: what arrows are drawn for."""

    source: "Box"
    port: int = 0
    """Which of the source's outputs it is, counted through tuples and dicts."""
    shape: Shape | None = None
    """Without the batch axis; None if it is not known before the net is built."""


@dataclass(eq=False)
class Box:
    """One call of a module, or an input or output of the whole net."""

    name: str
    """In the frame that it lies in."""
    path: str
    """As in state dicts."""
    module: Module | None = None
    """None for an input or an output."""
    x: Any = None
    """The Value that it is called on, or the tuple or dict of them; None for an input."""
    y: Any = None
    """What it gives, likewise; None for an output."""
    parts: list["Box"] = field(default_factory=list)
    """The calls that it consists of: then it is a frame."""
    call: int = 1
    """Of a module that is called several times, which call it is."""
    calls: int = 1
    """How many there are."""

    def parameters(self) -> list[tuple[str, Parameter]]:
        """Those of its module, with their names in it."""
        return list(self.module.named_parameters()) if self.module else []

    def below(self) -> Iterator["Box"]:
        """The boxes in this frame that are no frames, in the order of the calls."""
        for part in self.parts:
            if part.parts:
                yield from part.below()
            else:
                yield part


@dataclass(frozen=True)
class Arrow:
    """A tensor from the box that gives it to one that takes it."""

    value: Value
    target: Box


class Structure:
    """The boxes and arrows of a net.

    A container is a frame around the calls of its modules if it says how it calls them, in a method
    `wiring(x, call)` beside `forward`: `call(name, x)` is a call of the child of that name, and
    gives what stands for its output. Every other module is one box, whatever it holds; so is a
    subclass with a forward of its own, unless it has a wiring of its own as well. A module that is
    called several times has several boxes. Nothing is run or changed; of a net that is not built,
    shapes are known as far as it states them.

    Args:
        module: the net.
        expands: whether frames within the net are shown; without it each is a box.

    Example:
        >>> from kerasish.layers import Linear, ReLU
        >>> net = Structure(Sequential(Linear(2), ReLU()))
        >>> [box.name for box in net.boxes()]
        ['input', '0', '1', 'output']
        >>> [(arrow.value.source.name, arrow.target.name) for arrow in net.arrows()]
        [('input', '0'), ('0', '1'), ('1', 'output')]
    """

    def __init__(self, module: Module, expands: bool = True) -> None:
        self.module, self._expands = module, expands
        self.root = Box("", "")
        """The frame around all: inputs, modules, outputs."""
        self._calls: Counter[int] = Counter()
        x = self._inputs(_stated_shape(module))
        wiring = _wiring(module)
        y = self._inside(self.root, module, wiring, x) if wiring else (
            self._call(self.root, "", module, x))
        self._outputs(y)
        for box in self._every(self.root):
            box.calls = max(1, self._calls[id(box.module)])
        self.owners = self._owners()

    def boxes(self) -> list[Box]:
        """All boxes that are no frames, in the order of the calls."""
        return list(self.root.below())

    def arrows(self) -> list[Arrow]:
        """All arrows, those to the first box first."""
        return [Arrow(value, box) for box in self.boxes()
                for value in dict.fromkeys(leaves(box.x))]

    def sharing(self, box: Box) -> list[Box]:
        """The boxes that have parameters with this one in common, itself among them."""
        return list(dict.fromkeys(each for _, own in ([] if box.parts else box.parameters())
                                  for each in self.owners[id(own)]))

    # ---- how it is found --------------------------------------------------------------------

    def _inputs(self, shape: Any) -> Any:
        """What the net is called on: a box for each tensor."""
        x = Value(Box("input", "")) if shape is None else mapped_shapes(
            lambda each: Value(Box("input", ""), shape=each), shape)
        for name, value in _named(x):
            value.source.name, value.source.y = _end("input", name), value
            self.root.parts.append(value.source)
        return x

    def _outputs(self, y: Any) -> None:
        self.root.parts += [Box(_end("output", name), "", x=value) for name, value in _named(y)]

    def _call(self, frame: Box, name: str, module: Module, x: Any) -> Any:
        self._calls[id(module)] += 1
        box = Box(name, joined(frame.path, name), module, x, call=self._calls[id(module)])
        frame.parts.append(box)
        wiring = _wiring(module) if self._expands else None
        if wiring is not None:
            box.y = self._inside(box, module, wiring, x)
        if not box.parts:
            box.y = _made(box, module, x)
        return box.y

    def _inside(self, frame: Box, module: Module, wiring: Wiring, x: Any) -> Any:
        children = dict(module.named_children())
        return wiring(x, lambda name, given: self._call(frame, name, children[name], given))

    def _every(self, frame: Box) -> Iterator[Box]:
        for part in frame.parts:
            yield part
            yield from self._every(part)

    def _owners(self) -> dict[int, list[Box]]:
        """Which boxes have a parameter."""
        owners: dict[int, list[Box]] = {}
        for box in self.boxes():
            for _, parameter in box.parameters():
                owners.setdefault(id(parameter), []).append(box)
        return owners


def _stated_shape(module: Module) -> Any:
    """The shape of the samples of a net, as far as it says it; None if it does not."""
    if module.built:
        return module.input_shape
    if isinstance(module, Graph):
        return mapped(lambda node: node.shape, module.inputs)
    if isinstance(module, Recompute):
        return _stated_shape(module.module)
    return _stated_shape(module[0]) if isinstance(module, Sequential) and len(module) else None


def _wiring(module: Any) -> Wiring | None:
    """How a module calls its parts, if it says so beside its forward or above that.

    A forward that is wrapped, by `Watch` say, counts where the one inside it stands.
    """
    forward = inspect.unwrap(type(module).forward)
    for cls in type(module).__mro__:
        if "wiring" in vars(cls):
            wiring: Wiring = module.wiring
            return wiring
        if vars(cls).get("forward") is forward:
            return None
    return None


def _made(box: Box, module: Module, x: Any) -> Any:
    """What a module gives for values of these shapes."""
    if any(value.shape is None for value in leaves(x)):
        return Value(box)
    ports = count()
    return mapped_shapes(lambda shape: Value(box, next(ports), shape),
                         inferred_shape(module, mapped(lambda value: value.shape, x)))


def _end(kind: str, name: str) -> str:
    """What an input or output is called: as the net does, if that is more than a number."""
    if not name:
        return kind
    return joined(kind, name) if name[0].isdigit() else name


def _named(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values in a tuple or a dict, with their places in it; one alone has no name."""
    if not isinstance(tree, dict | tuple | list):
        yield name, tree
        return
    for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from _named(part, joined(name, str(key)))
