"""What a container may allow a module at its place: to overwrite, to fuse, to wait, to omit dx.

A permission belongs to a place in a container, never to a module: the same module elsewhere, or
called by hand, never writes into what it was given. Declarations are believed only where they stand
beside the methods that they speak of, so a subclass with a backward of its own is asked anew.
"""

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from kerasish.differentiable import planned_as
from kerasish.module import Kernels, Module


def may_overwrite(layers: Sequence[Module], index: int) -> bool:
    """Whether the module at this place may write its output into its input.

    It may if it can, and does not need the input again; if the module that made the input does not
    need it either; and if that input is not what the container itself was given.
    """
    layer = layers[index]
    able = takes(layer.forward, "overwrite") and _declares(layer)
    if not able or "input" in layer.backward_reads:
        return False
    for maker in reversed(layers[:index]):
        if not _declares(maker) or "output" in maker.backward_reads:
            return False
        if not maker.returns_view:
            return True
    return False


def may_overwrite_back(layers: Sequence[Module], index: int) -> bool:
    """Whether the module at this place may write its dx, or what it likes, into dy.

    It may if it can, and if a module further on has made that dy, which it hands out and forgets.
    """
    layer = layers[index]
    if not takes(layer.backward, "overwrite") or not _declares(layer):
        return False
    for maker in layers[index + 1 :]:
        if not _declares(maker):
            return False
        if not maker.returns_view:
            return True
    return False


def in_order(layers: Sequence[Module]) -> list[int]:
    """The places in the order in which they are computed: what `goes_before` another comes first.

    That changes not a bit, and saves work. Both are believed by their exact class alone.
    """
    places = list(range(len(layers)))
    for place, (layer, after) in enumerate(pairwise(layers)):
        if planned_as(layer) in vars(planned_as(after)).get("goes_before", ()):
            places[place], places[place + 1] = places[place + 1], places[place]
    return places


def fused_kernels(layers: Sequence[Module], index: int) -> Kernels | None:
    """The kernels of the activation after this place, if the module here can run them.

    Both are believed by their exact class alone: a subclass keeps its own forward and backward.
    """
    layer, after = layers[index], layers[index + 1 : index + 2]
    if not after or not vars(planned_as(layer)).get("fuses"):
        return None
    kernels: Kernels | None = vars(planned_as(after[0])).get("kernels")
    return kernels


def takes(method: Callable[..., Any], argument: str) -> bool:
    """Whether a method knows an optional argument, `overwrite` or `need_dx`."""
    return argument in inspect.signature(method).parameters


def stem_length(layers: Sequence[Module]) -> int:
    """How many modules at the front have nothing to train, so that no gradient need reach them."""
    length = 0
    for layer in layers:
        if any(p.trainable for p in layer.parameters()) or not _unwinds(layer):
            break
        length += 1
    return length


def _declares(module: Module) -> bool:
    """Whether the declarations come from the class, or a subclass of it, that has the methods."""
    line = planned_as(module).__mro__
    place = {name: next(i for i, cls in enumerate(line) if name in vars(cls))
             for name in ("forward", "backward", "backward_reads", "returns_view")}
    return max(place["backward_reads"], place["returns_view"]) <= min(
        place["forward"], place["backward"]
    )


def _unwinds(module: Module) -> bool:
    kind: Any = planned_as(module)
    return kind.unwind is not Module.unwind or not any(True for _ in module.children())
