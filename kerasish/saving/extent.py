"""Bounds on what a file may ask for: a few bytes must not make millions of modules."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasish.containers import Graph
from kerasish.layers.recurrent.layer import Recurrent
from kerasish.module import Module
from kerasish.node import Node

OBJECTS_LIMIT = 4_000  # a ResNet of 1,000 layers is made of 3,700
DEPTH_LIMIT = 64
PARTS_OF_A_LAYER = 8
"""What a recurrent layer has at most: two matrices and two biases for each direction."""


class Extent:
    """Adds up how large a net gets while its parts are made."""

    def __init__(self) -> None:
        self._objects = self._granted = self._wires = 0
        self._size: dict[int, tuple[int, int]] = {}

    def grant(self, config: Mapping[str, Any], parts: Iterable[Any]) -> None:
        """Refuses a number of layers, each a copy of these parts, that would be too large a net.

        Raises: ValueError.
        """
        wanted = config.get("num_layers", 0)
        if isinstance(wanted, int):
            copied = sum(self.measure(each)[0] for each in parts)
            self._granted += wanted * (copied or PARTS_OF_A_LAYER)
            if self._granted > OBJECTS_LIMIT:
                raise ValueError(f"expects layers of at most {OBJECTS_LIMIT:,} parts; got "
                                 f"num_layers={wanted:.3g}")

    def add(self, value: Any, parts: Iterable[Any] = ()) -> None:
        """Counts one more object, made of these parts.

        Raises: ValueError for too many objects, and for too many levels.
        """
        self._objects += 1
        self._wires += len(value._nodes) if isinstance(value, Graph) else 0
        places, depth = self.measure(value)
        if not isinstance(value, Module | Node):
            depth = 1 + max((self.measure(each)[1] for each in parts), default=0)
            self._size[id(value)] = places, depth
        if max(self._objects, places, self._wires / 10) > OBJECTS_LIMIT or depth > DEPTH_LIMIT:
            raise ValueError(f"expects at most {OBJECTS_LIMIT:,} objects and {DEPTH_LIMIT} levels "
                             "of them; got more")

    def measure(self, value: Any) -> tuple[int, int]:
        """The places at and below a module, a shared one at each of its own, and the levels."""
        if not isinstance(value, Module):
            return self._size.get(id(value), (0, 0))
        if id(value) not in self._size:
            below = [self.measure(child) for child in value.children()]
            self._size[id(value)] = (1 + sum(places for places, _ in below),
                                     1 + max((depth for _, depth in below), default=0))
        return self._size[id(value)]


def require_tensors(nets: Iterable[Module], count: int) -> None:
    """Refuses nets that need more tensors than a file has, before they are built.

    Only what layers of kerasish have at least is counted; a container of a caller's own may leave
    parts unbuilt.

    Raises: ValueError.
    """
    parts = {id(part): part for net in nets for part in net.modules()}.values()
    least = sum(map(_least_tensors, parts))
    own = any(not type(part).__module__.startswith("kerasish.") for part in parts)
    if least > count and not own:
        raise ValueError(f"expects {least:,} tensors at least for its layers; got {count:,}")


def _least_tensors(part: Module) -> int:
    if isinstance(part, Recurrent):
        return 2 * part.num_layers * (1 + part.bidirectional)
    scales = getattr(part, "affine", True) and getattr(part, "elementwise_affine", True)
    return int(bool(part.parameter_names) and scales)
