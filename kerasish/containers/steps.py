"""The way through a chain of modules, bound once: what never changes from step to step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from kerasish.containers.grants import (
    fused_kernels,
    in_order,
    may_overwrite,
    may_overwrite_back,
    stem_length,
    takes,
)
from kerasish.module import Module

Call = Callable[[Any], Any]


class Step(NamedTuple):
    """One place of a chain, ready to be called; a fused activation has no step of its own."""

    place: int
    forward: Call
    backward: Call
    backward_to_stem: Call
    """Goes back no further than a gradient is needed: without dx in the lowest module that has
    something to train, and only dropping what was saved below it."""


def steps(layers: Sequence[Module]) -> list[Step]:
    """The steps through the modules, from the first to the last."""
    places = in_order(layers)
    layers = [layers[place] for place in places]
    found, index, stem = [], 0, stem_length(layers)
    while index < len(layers):
        layer: Any = layers[index]
        kernels = fused_kernels(layers, index)
        forward: Call = layer.forward
        if kernels is not None:
            forward = partial(layer.forward, activation=kernels)
        elif may_overwrite(layers, index):
            forward = partial(layer.forward, overwrite=True)
        backward: Call = layer.backward
        if may_overwrite_back(layers, index):
            backward = partial(layer.backward, overwrite=True)
        found.append(Step(places[index], forward, backward,
                          _to_stem(layer, backward, index - stem)))
        index += 1 if kernels is None else 2
    return found


def _to_stem(layer: Any, backward: Call, above: int) -> Call:
    """How to go back through a module so many places above the stem, which has nothing to train."""
    if above == 0 and takes(layer.backward, "need_dx"):
        bound: Any = backward
        return partial(bound, need_dx=False)
    call: Call = layer.unwind if above < 0 else backward
    return call
