"""A net in the format of TensorBoard's graph page: forward, and backward."""

import re
from collections.abc import Iterable
from typing import Any

from kerasish.insight.structure import Box, Structure, Value
from kerasish.insight.wording import title
from kerasish.parameter import Parameter
from kerasish.paths import joined
from kerasish.trees import leaves
from kerasish.types import Shape

_ANY = -1
"""How the format says that a size, the batch's, is not known."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def forward_graph(structure: Structure) -> Any:
    """The calls of forward as a GraphDef: a node for each box, in the scopes that are its frames.

    A node is named by the place and the class of its module, `1_Residual/body_Linear` say; it
    carries formula, settings and the shapes of its parameters.
    """
    graph = _Graph(structure)
    for box in structure.boxes():
        inputs = [_output(graph.names[value.source], value.port) for value in leaves(box.x)]
        kind = type(box.module).__name__ if box.module else "Input" if box.y else "Output"
        graph.add(graph.names[box], kind, inputs, _of_batch(leaves(box.y)), **_attributes(box))
    return graph.made


def backward_graph(structure: Structure, loss: Any) -> Any:
    """The calls of backward as a GraphDef, which starts with the loss.

    For each box there is a node `backward` in a scope of its name. It takes dy from all that give
    the dx of what the box gave, and gives dx and the gradients of its parameters, which are nodes
    beside it. A parameter that is used in several calls has one gradient: they add into it.
    """
    graph, takers = _Graph(structure, "loss"), dict[Value, list[str]]()
    outputs = [box for box in structure.boxes() if not box.module and not box.y]
    graph.add("loss", type(loss).__name__, [], _of_batch(box.x for box in outputs),
              loss=repr(loss))
    for port, box in enumerate(outputs):
        takers.setdefault(box.x, []).append(_output("loss", port))
    called = [box for box in structure.boxes() if box.module]
    for box in called:
        for port, value in enumerate(leaves(box.x)):
            takers.setdefault(value, []).append(_output(f"{graph.names[box]}/backward", port))
    gradients: dict[int, Any] = {}
    for box in reversed(called):
        dy = [each for value in leaves(box.y) for each in takers.get(value, ())]
        _add_backward(graph, box, dy, gradients)
    return graph.made


def _add_backward(graph: "_Graph", box: Box, dy: list[str], gradients: dict[int, Any]) -> None:
    """A backward, and the gradients that it gives, each in the scope of the first call with it."""
    scope, dx = graph.names[box], _of_batch(leaves(box.x))
    learned = [(name, each) for name, each in box.parameters() if each.trainable]
    shapes = dx + [tuple(each.data.shape) for _, each in learned]
    graph.add(f"{scope}/backward", f"{type(box.module).__name__}Backward", dy, shapes,
              **_attributes(box))
    for port, (name, parameter) in enumerate(learned, len(dx)):
        owner = graph.names[graph.structure.owners[id(parameter)][0]]
        if id(parameter) not in gradients:
            gradients[id(parameter)] = graph.add(
                f"{owner}/{_valid(name)}.grad", "Gradient", [], [shapes[port]],
                parameter=joined(box.path, name))
        gradients[id(parameter)].input.append(_output(f"{scope}/backward", port))


class _Graph:
    """A GraphDef that is being made.

    Args:
        structure: the net.
        taken: names that are not to be used for boxes, on top.
    """

    def __init__(self, structure: Structure, *taken: str) -> None:
        from tensorboard.compat.proto.graph_pb2 import GraphDef  # on use: it takes a while
        from tensorboard.compat.proto.versions_pb2 import VersionDef

        self.structure = structure
        self.made = GraphDef(versions=VersionDef(producer=22))
        self.names: dict[Box, str] = {}
        """A valid name for each box, no two the same."""
        self._name(structure.root, "", set(taken))

    def add(
        self, name: str, kind: str, inputs: list[str], shapes: list[Shape | None],
        **attributes: Any,
    ) -> Any:
        """Adds a node; `inputs` are names of others, with the port for all but their first output.
        """
        node = self.made.node.add(name=name, op=_valid(kind), input=inputs)
        _set_shapes(node.attr["_output_shapes"].list, shapes)
        for key, value in attributes.items():
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
    kind = "input" if box.y else "output"
    return box.name if box.name == kind else f"{kind}.{box.name}"


def _valid(name: str) -> str:
    """A name with the characters that the format allows; the first is a letter, digit or dot."""
    name = _NOT_IN_NAMES.sub("_", name)
    return name if name[:1] not in ("", "_", "-") else f".{name}"


def _output(name: str, port: int) -> str:
    return f"{name}:{port}" if port else name


def _attributes(box: Box) -> dict[str, Any]:
    """What is told of a module when its node is chosen."""
    if not box.module:
        return {}
    own = box.parameters()
    told: dict[str, Any] = {"module": title(box.module), "formula": box.module.formula}
    if box.path:
        told["path"] = box.path
    if box.calls > 1:
        told["call"] = f"{box.call} of {box.calls}"
    if own:
        told["parameters"] = sum(parameter.data.numel() for _, parameter in own)
    return told | {name: _shape(parameter) for name, parameter in own}


def _shape(parameter: Parameter) -> str:
    shape = str(tuple(parameter.data.shape))
    return shape if parameter.trainable else f"{shape}, frozen"


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
