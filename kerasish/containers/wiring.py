"""What a graph is made of: its nodes in the order of computation, its inputs in their structure."""

from typing import Any

from kerasish.node import Node
from kerasish.trees import leaves, mapped


def forward_order(inputs: Any, outputs: Any) -> list[Node]:
    """The nodes between inputs and outputs, each after all that it needs.

    Raises: TypeError for what is no node; ValueError for an input that is missing or leads nowhere.
    """
    given, order, reached = list(leaves(inputs)), [], set()
    for name, nodes in (("inputs", given), ("outputs", list(leaves(outputs)))):
        for node in nodes:
            if not isinstance(node, Node) or (name == "inputs" and node.module is not None):
                raise TypeError(f"Graph({name}) expects symbolic {name}; got {node!r}. "
                                "Make inputs with Input(shape), and call modules on them.")
        if not nodes:
            raise ValueError(f"Graph({name}) expects one or more; got none. Name them.")
    known = {id(node) for node in given}
    path: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(leaves(outputs)))]
    while path:  # no recursion: nets may be deep
        node, done = path.pop()
        if done:
            order.append(node)
        elif id(node) not in reached:
            reached.add(id(node))
            if node.module is None and id(node) not in known:
                raise ValueError(f"Graph(inputs) expects all that its outputs need; got none for "
                                 f"{node!r}. Add it.")
            if node.module is not None:
                path.append((node, True))
                path.extend((each, False) for each in reversed(list(leaves(node.inputs))))
    unused = [node for node in given if id(node) not in reached]
    if unused or len(known) != len(given):
        what = f"{unused[0]!r}, which leads to no output" if unused else "one that comes twice"
        raise ValueError(f"Graph(inputs) expects inputs that are used, each once; got {what}. "
                         "Leave it out.")
    return order


def placed(values: list[Any], slots: Any) -> Any:
    """The values of slots, in the structure of the slots."""
    return values[slots] if type(slots) is int else mapped(values.__getitem__, slots)


def in_order(like: Any, tree: Any) -> list[Any]:
    """The parts of x, or of its shape, in the order of the inputs that they are for.

    Raises: ValueError if the structure is another one.
    """
    if isinstance(like, Node):
        if not isinstance(tree, dict):
            return [tree]
    elif isinstance(like, dict):
        if isinstance(tree, dict) and tree.keys() == like.keys():
            return [tree[name] for name in like]
    elif isinstance(tree, tuple | list) and len(tree) == len(like):
        return list(tree)
    got = f"a dict of {sorted(tree)}" if isinstance(tree, dict) else (
        f"a tuple of {len(tree)}" if isinstance(tree, tuple | list) else type(tree).__name__)
    raise ValueError(f"Graph(inputs={like!r}) expects x in the structure of its inputs; got {got}. "
                     "Give one tensor for each input.")


def like_inputs(like: Any, parts: list[Any]) -> Any:
    """The parts in the structure of the inputs."""
    if isinstance(like, Node):
        return parts[0]
    return dict(zip(like, parts, strict=True)) if isinstance(like, dict) else tuple(parts)
