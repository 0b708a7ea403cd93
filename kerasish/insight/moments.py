"""How many bytes are alive as a step goes on, module by module."""

from collections.abc import Callable
from typing import Any

from kerasish.insight.live import Live
from kerasish.insight.stopwatch import FORWARD, Key
from kerasish.module import Module
from kerasish.watching import Place, Watch

BACKWARD = "backward"


class Moments(Watch):
    """Reads how many bytes are alive after each module's forward and after its backward.

    Args:
        module: the net.
        live: counts them.
    """

    def __init__(self, module: Module, live: Live) -> None:
        super().__init__(module)
        self.live = live
        self.after: dict[Key, int] = {}
        """(path, direction) → bytes; of several calls, the most."""

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        return self._followed(place.path, FORWARD, lambda: call(x))

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        return self._followed(place.path, BACKWARD, lambda: call(dy))

    def around(self, what: str, call: Callable[[], Any]) -> Any:
        """Runs what is no module under its name."""
        with self.live.at(what):
            return call()

    def _followed(self, path: str, direction: str, call: Callable[[], Any]) -> Any:
        answer = self.around(f"{direction} of {path or 'the whole'}", call)
        self.after[path, direction] = max(self.live.size, self.after.get((path, direction), 0))
        return answer
