"""A net in the format of TensorBoard's graph page: forward, and backward."""

import re
from collections.abc import Iterable
from typing import Any

from kerasish.insight.structure import Box, Structure, Value
from kerasish.insight.wording import title_of
from kerasish.parameter import Parameter
from kerasish.paths import joined
from kerasish.trees import leaves
from kerasish.types import Shape

_ANY = -1
"""How the format says that a size, the batch's, is not known."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def forward_graph(structure: Structure) -> Any:
    """The calls of forward as a GraphDef.

    Each call of a module is a scope, named by the place and the class of the module, with the scope
    of its container around it: `1_Residual/body_Linear` say. In it are a node `forward` with the
    formula and the settings, and a node for each parameter; where it is used again there is another
    one, which says what it is shared with.
    """
    graph = _Graph(structure)
    for box in structure.boxes():
        inputs = [graph.given(value) for value in leaves(box.x)]
        if box.module:
            inputs += [graph.parameter(box, *each) for each in box.parameters()]
            graph.add(f"{graph.names[box]}/forward", type(box.module).__name__, inputs,
                      _of_batch(leaves(box.y)), **_told(box))
        else:
            graph.add(graph.names[box], _end(box), inputs, _of_batch(leaves(box.y)))
    return graph.made


def backward_graph(structure: Structure, loss: Any) -> Any:
    """The calls of backward as a GraphDef, which starts with the loss.

    The scopes are those of forward. In each is a node `backward`: it takes dy from all that give
    the dx of what the call gave, and gives dx and the gradients of parameters, which are nodes in
    the scopes of these. Several calls add into one gradient.
    """
    graph, takers = _Graph(structure, "loss"), dict[Value, list[str]]()
    outputs = [box for box in structure.boxes() if _end(box) == "Output"]
    graph.add("loss", type(loss).__name__, [], _of_batch(box.x for box in outputs),
              loss=repr(loss))
    for port, box in enumerate(outputs):
        takers.setdefault(box.x, []).append(_output("loss", port))
    called = [box for box in structure.boxes() if box.module]
    for box in called:
        for port, value in enumerate(leaves(box.x)):
            takers.setdefault(value, []).append(_output(f"{graph.names[box]}/backward", port))
    for box in reversed(called):
        dy = [each for value in leaves(box.y) for each in takers.get(value, ())]
        learned = [(name, each) for name, each in box.parameters() if each.trainable]
        dx = _of_batch(leaves(box.x))
        graph.add(f"{graph.names[box]}/backward", f"{type(box.module).__name__}Backward", dy,
                  dx + [tuple(each.data.shape) for _, each in learned], **_told(box))
        for port, (name, parameter) in enumerate(learned, len(dx)):
            graph.add_gradient(box, name, parameter, port)
    return graph.made


class _Graph:
    """A GraphDef that is being made.

    Args:
        structure: the net.
        taken: names on top that are not for boxes.
    """

    def __init__(self, structure: Structure, *taken: str) -> None:
        from tensorboard.compat.proto.graph_pb2 import GraphDef  # on use: it takes a while
        from tensorboard.compat.proto.versions_pb2 import VersionDef

        self.made = GraphDef(versions=VersionDef(producer=22))
        self.names: dict[Box, str] = {}
        """A valid name for each box, no two the same."""
        self._structure = structure
        self._nodes: dict[int, Any] = {}
        self._name(structure.root, "", {*taken})

    def given(self, value: Value) -> str:
        """What an input of a forward is, as the format says it."""
        scope = self.names[value.source]
        return _output(f"{scope}/forward" if value.source.module else scope, value.port)

    def parameter(self, box: Box, name: str, parameter: Parameter) -> str:
        """Adds a node for a parameter in the scope of a call, and gives its name."""
        told = {} if parameter.trainable else {"frozen": "yes"}
        if first := self._nodes.get(id(parameter)):
            told["shared with"] = first.name
        node = self.add(f"{self.names[box]}/{_valid(name)}", "Parameter", [],
                        [tuple(parameter.data.shape)], path=joined(box.path, name), **told)
        self._nodes.setdefault(id(parameter), node)
        return str(node.name)

    def add_gradient(self, box: Box, name: str, parameter: Parameter, port: int) -> None:
        """Leads an output of a backward to the gradient of a parameter."""
        if id(parameter) not in self._nodes:
            owner = self.names[self._structure.owners[id(parameter)][0]]
            self._nodes[id(parameter)] = self.add(
                f"{owner}/{_valid(name)}.grad", "Gradient", [], [tuple(parameter.data.shape)],
                path=joined(box.path, name))
        self._nodes[id(parameter)].input.append(_output(f"{self.names[box]}/backward", port))

    def add(
        self, name: str, kind: str, inputs: list[str], shapes: list[Shape | None], **told: Any
    ) -> Any:
        """Adds a node; `inputs` are outputs of others."""
        node = self.made.node.add(name=name, op=_valid(kind), input=inputs)
        _set_shapes(node.attr["_output_shapes"].list, shapes)
        for key, value in told.items():
            if isinstance(value, int):
                node.attr[key].i = value
            else:
                node.attr[key].s = value.encode("utf-8", "replace")
        return node

    def _name(self, frame: Box, scope: str, taken: set[str]) -> None:
        for part in frame.parts:
            wanted = name = _valid(_segment(part))
            number = 2
            while name in taken:
                name, number = f"{wanted}-{number}", number + 1
            taken.add(name)
            self.names[part] = scope + name
            self._name(part, f"{scope}{name}/", set())


def _segment(box: Box) -> str:
    """The place of a box in its frame, and what it is: the place alone says little to a reader."""
    if box.module:
        return f"{box.name}_{type(box.module).__name__}".removeprefix("_")
    return box.name


def _end(box: Box) -> str:
    """Which end of the net a box is; empty for a module."""
    return "" if box.module else "Output" if box.y is None else "Input"


def _valid(name: str) -> str:
    """A name with the characters that the format allows; the first is a letter, digit or dot."""
    name = _NOT_IN_NAMES.sub("_", name)
    return name if name[:1] not in ("", "_", "-") else f".{name}"


def _output(name: str, port: int) -> str:
    """One of several outputs of a node; the first one has the node's own name."""
    return f"{name}:{port}" if port else name


def _told(box: Box) -> dict[str, Any]:
    """What is told of a module when its node is chosen."""
    if not box.module:
        return {}
    told: dict[str, Any] = {"module": title_of(box.module), "formula": box.module.formula}
    if box.path:
        told["path"] = box.path
    if box.calls > 1:
        told["call"] = f"{box.call} of {box.calls}"
    if own := box.parameters():
        told["parameters"] = sum(parameter.data.numel() for _, parameter in own)
    return told


def _of_batch(values: Iterable[Value]) -> list[Shape | None]:
    """The shapes of values with the batch axis."""
    return [None if value.shape is None else (_ANY, *value.shape) for value in values]


def _set_shapes(holder: Any, shapes: list[Shape | None]) -> None:
    for shape in shapes:
        made = holder.shape.add()
        if shape is None:
            made.unknown_rank = True
        for size in shape or ():
            made.dim.add(size=size)
