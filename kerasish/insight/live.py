"""How many bytes of tensors are alive: at any moment, at most, and what was running then."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kerasish.devices import kind_of_device
from kerasish.trees import leaves

_has_kernel: Callable[[str, str], bool] = torch._C._dispatch_has_kernel_for_dispatch_key


class Moment(NamedTuple):
    """So many bytes were alive, and what was going on."""

    size: int
    where: str


class Span:
    """How many bytes were alive at the start of a block, at its end, and at most in between."""

    def __init__(self, start: int) -> None:
        self.start = self.end = self.highest = start

    @property
    def workspace(self) -> int:
        """What lived only inside."""
        return self.highest - max(self.start, self.end)


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside the block each memory counts from the operation that makes it until it is freed.

    Views count once, with what they are views of. What a kernel takes for itself while it runs is
    no tensor, and not counted.

    Args:
        kind: of the device whose memory is counted, "cpu" or "cuda".
        there: tensors that count from the beginning. Of others that are there before, those count
            that an operation inside the block gives back: a view of one, or one it writes to.

    Example:
        >>> with Live("cpu") as live:
        ...     x = torch.ones(100)
        ...     with live.at("the sum"):
        ...         y = x.view(10, 10) + x.view(10, 10)
        ...     del x
        >>> live.size, live.peak
        (400, Moment(size=800, where='the sum'))
    """

    def __init__(self, kind: str, there: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kind = kind
        self.size = 0
        """Bytes that are alive now."""
        self._sizes: dict[int, int] = {}
        for tensor in there:
            self._count(tensor)
        self.peak = Moment(self.size, "")
        self._where = [""]
        self._highest = [self.size]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler first, which takes seconds

    @contextmanager
    def at(self, where: str) -> Iterator[Span]:
        """What goes on inside the block has this name; it learns how high the count has been."""
        span = Span(self.size)
        self._where.append(where)
        self._highest.append(self.size)
        try:
            yield span
        finally:
            self._where.pop()
            span.highest, span.end = self._highest.pop(), self.size
            self._highest[-1] = max(self._highest[-1], span.highest)

    def begin(self) -> None:
        """The peak is that of what follows."""
        self.peak = Moment(self.size, self._where[-1])

    def counted(self, key: int) -> int:
        """The bytes of a memory, by `id_of` its tensors; 0 if it is not counted."""
        return self._sizes.get(key, 0)

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, y = kwargs or {}, NotImplemented
        if not _has_kernel(operation.name(), self._kind.upper()):
            with self:  # it is made of other operations: each of these counts
                y = operation.decompose(*args, **kwargs)
        if y is NotImplemented:
            y = self.run(operation, args, kwargs)
            for tensor in leaves(y):
                if isinstance(tensor, Tensor):
                    self._count(tensor)
            self._note(self.size + self.inner_bytes(operation, args, y))
        return y

    def run(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """What an operation gives."""
        return operation(*args, **kwargs)

    def inner_bytes(self, operation: Any, args: Any, y: Any) -> int:
        """What else counts while it runs: nothing."""
        return 0

    def _count(self, tensor: Tensor) -> None:
        if kind_of_device(tensor) != self._kind:
            return
        storage = tensor.untyped_storage()
        key, size = id_of(tensor), storage.nbytes()
        if key not in self._sizes:
            weakref.finalize(storage, self._free, key).atexit = False
        self.size += size - self._sizes.get(key, 0)
        self._sizes[key] = size

    def _free(self, key: int) -> None:
        self.size -= self._sizes.pop(key)

    def _note(self, size: int) -> None:
        if size > self._highest[-1]:
            self._highest[-1] = size
        if size > self.peak.size:
            self.peak = Moment(size, self._where[-1])


def id_of(tensor: Tensor) -> int:
    """The same for all views of one memory."""
    return int(tensor.untyped_storage()._cdata)


def held_by(model: Any) -> list[Tensor]:
    """All tensors that a model holds between steps, but for the sums of its metrics."""
    own = [*model.module.buffers()]
    for parameter in model.module.parameters():
        own += [parameter.data, parameter.grad]
    if model.compiled:
        own += [slot for slots in model.optimizer.state.values() for slot in slots.values()]
    return own
