"""The next items of what gives them one by one, prepared in a thread while the last one is used."""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

END: Any = object()
"""What comes after the last of a pass."""


class Ahead:
    """Items in the order in which they are given, the next ones prepared in a thread of its own.

    What is raised there is raised here where the item would have come, with its traceback. `close`
    ends the thread, after the item that it is at.

    Args:
        give: gives the next item, or END; called in the thread alone.
        most: how many items may be prepared and not taken yet, 1 or more.
        wanted: how many items will be taken at most: no more are asked for.

    Example:
        >>> numbers = iter([1, 2])
        >>> ahead = Ahead(lambda: next(numbers, END), most=1)
        >>> ahead.take(), ahead.take(), ahead.take() is END
        (1, 2, True)
    """

    def __init__(self, give: Callable[[], Any], most: int, wanted: float = math.inf) -> None:
        self._give, self._most, self._wanted = give, most, wanted
        self._begun = self._taken = 0
        self._ready: deque[tuple[Any, BaseException | None]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="kerasish prefetch", daemon=True)
        self._thread.start()

    def take(self) -> Any:
        """The next item; END after the last one, and ever after."""
        with self._changed:
            self._wanted = max(self._wanted, self._taken + 1)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready or self._ended)
            if not self._ready:
                return END
            item, error = self._ready.popleft()
            self._taken += 1
            self._changed.notify_all()
        if error is not None:
            raise error
        return item

    def want(self, items: float) -> None:
        """From here on so many items will be taken at most."""
        with self._changed:
            self._wanted = self._taken + items
            self._changed.notify_all()

    def close(self) -> None:
        """Drops what is prepared, and waits for the thread to end."""
        with self._changed:
            self._ended = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while self._waits_for_room():
            try:
                given: tuple[Any, BaseException | None] = self._give(), None
            except BaseException as error:  # for the thread that takes it
                given = END, error
            with self._changed:
                if not self._ended:
                    self._ready.append(given)
                self._ended = self._ended or given[0] is END
                self._changed.notify_all()
            del given  # it may be large

    def _waits_for_room(self) -> bool:
        """Whether another item is wanted, as soon as one is; False once there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or (
                self._begun < self._wanted and self._begun - self._taken < self._most))
            self._begun += 1
            return not self._ended
