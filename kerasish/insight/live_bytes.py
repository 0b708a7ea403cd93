"""How many bytes of tensors are alive: at any moment, at most, and what was running then."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from kerasish.insight.stopwatch import FORWARD, Key
from kerasish.module import Module
from kerasish.trees import leaves
from kerasish.watching import Place, Watch

BACKWARD = "backward"


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the memory of every tensor that is made inside the block, until it is freed.

    Views count once, with what they are views of. What a kernel takes for itself while it runs is
    no tensor, and not counted. It is the same on every device.

    Args:
        tensors: those that are there before.
        device: where memory is counted.

    Example:
        >>> with LiveBytes([], torch.device("cpu")) as live:
        ...     x = torch.ones(100)
        ...     y = x.view(10, 10) + x.view(10, 10)
        ...     del x
        >>> live.now(), live.peak
        (400, 800)
    """

    where = ""
    """What is running, for `peak_at`."""

    def __init__(self, tensors: Iterable[Tensor], device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device, self.peak, self.peak_at = device, 0, ""
        self._held: dict[int, tuple[Any, int]] = {}
        for tensor in tensors:
            self._hold(tensor)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler first, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        for part in answer if isinstance(answer, list | tuple) else (answer,):
            if isinstance(part, Tensor):
                self._hold(part)
        now = self.now()
        if now > self.peak:
            self.peak, self.peak_at = now, self.where
        return answer

    def now(self) -> int:
        """Bytes that are alive."""
        self._held = {key: held for key, held in self._held.items() if not held[0].expired()}
        return sum(size for _, size in self._held.values())

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.device.type == self.device.type:
            reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
            self._held[reference.cdata] = reference, storage.nbytes()


def lasting(model: Any, batch: Any) -> Iterator[Tensor]:
    """The tensors that are there before a step and after it: the model's, and the batch."""
    for parameter in model.module.parameters():
        yield from (parameter.data, parameter.grad)
    yield from model.module.buffers()
    for slots in model.optimizer.state.values():
        yield from slots.values()
    yield from leaves(batch)


class Moments(Watch):
    """Reads how many bytes are alive after each module's forward and after its backward.

    Args:
        module: the net.
        live: counts them.
    """

    def __init__(self, module: Module, live: LiveBytes) -> None:
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
        before, self.live.where = self.live.where, what
        answer = call()
        self.live.where = before
        return answer

    def _followed(self, path: str, direction: str, call: Callable[[], Any]) -> Any:
        answer = self.around(f"{direction} of {path or 'the whole'}", call)
        self.after[path, direction] = max(self.live.now(), self.after.get((path, direction), 0))
        return answer
