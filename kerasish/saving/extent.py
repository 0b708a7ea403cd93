"""Bounds on what a file may ask for: a few bytes must not make millions of modules."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasish.containers import Graph
from kerasish.module import Module
from kerasish.node import Node

OBJECTS_LIMIT = 4_000
LAYERS_LIMIT = 1_000
DEPTH_LIMIT = 64


class Extent:
    """Adds up how large a net gets while its parts are made.

    Args:
        room: how many tensors there are: a net of very many modules has many of them.
    """

    def __init__(self, room: int) -> None:
        self._most = OBJECTS_LIMIT + 2 * room
        self._layers_left = max(LAYERS_LIMIT, room)
        self._objects = self._wires = 0
        self._size: dict[int, tuple[int, int]] = {}

    def grant(self, config: Mapping[str, Any], parts: Iterable[Any]) -> None:
        """Refuses a number of layers that there cannot be parameters for.

        Raises: ValueError.
        """
        wanted = config.get("num_layers", 0)
        if isinstance(wanted, int):
            copied = sum(self.measure(each)[0] for each in parts)
            self._layers_left -= wanted * max(1, copied)
            if self._layers_left < 0:
                raise ValueError("expects no more layers than the file holds tensors for; got "
                                 f"{wanted:.3g} of them")

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
        if max(self._objects, places, self._wires / 10) > self._most or depth > DEPTH_LIMIT:
            raise ValueError(f"expects at most {self._most:,} objects and {DEPTH_LIMIT} levels of "
                             "them; got more")

    def measure(self, value: Any) -> tuple[int, int]:
        """The places at and below a module, a shared one at each of its own, and the levels."""
        if not isinstance(value, Module):
            return self._size.get(id(value), (0, 0))
        if id(value) not in self._size:
            below = [self.measure(child) for child in value.children()]
            self._size[id(value)] = (1 + sum(places for places, _ in below),
                                     1 + max((depth for _, depth in below), default=0))
        return self._size[id(value)]
