"""Counts the bytes of all tensors that are alive, operation by operation."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kerasish.insight.memory.kernels import inner_bytes
from kerasish.trees import leaves

_has_kernel: Callable[[str, str], bool] = torch._C._dispatch_has_kernel_for_dispatch_key


class Moment(NamedTuple):
    """So many bytes were alive, and what was going on."""

    size: int
    where: str


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside the block each storage counts from the operation that makes it until it is freed.

    Only what operations inside the block make is counted: what was there before is not, nor are
    views of it. On the meta device nothing is computed and nothing is held, and the count is that
    of a device on which it would be.
    """

    def __init__(self, kind: str, apart: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kind = kind.upper()
        self.size = 0
        """Bytes that are alive now."""
        self.peak = Moment(0, "")
        self._where = [""]
        self._highest: list[int] = [0]
        self._sizes: dict[int, int] = {}
        self.apart = list(apart)
        """What is not counted."""
        self._uncounted = set(map(id_of, self.apart))

    @contextmanager
    def at(self, where: str) -> Iterator["Span"]:
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
        if not _has_kernel(operation.name(), self._kind):
            with self:  # it is made of other operations: each of these counts
                y = operation.decompose(*args, **kwargs)
        if y is NotImplemented:
            y = _done(operation, args, kwargs)
            for tensor in leaves(y):
                if isinstance(tensor, Tensor):
                    self._count(tensor)
            self._note(self.size + inner_bytes(operation, args, y))
        return y

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id_of(tensor), storage.nbytes()
        if key in self._uncounted:
            return
        if key not in self._sizes:
            weakref.finalize(storage, self._free, key)
        self.size += size - self._sizes.get(key, 0)
        self._sizes[key] = size

    def _free(self, key: int) -> None:
        self.size -= self._sizes.pop(key)

    def _note(self, size: int) -> None:
        if size > self._highest[-1]:
            self._highest[-1] = size
        if size > self.peak.size:
            self.peak = Moment(size, self._where[-1])


def _done(operation: Any, args: Any, kwargs: Any) -> Any:
    """What an operation gives; one in place that the meta device has not would make nothing."""
    try:
        return operation(*args, **kwargs)
    except NotImplementedError:
        if not operation.name().split(".")[0].endswith("_"):
            raise
        return args[0] if operation._schema.returns else None


class Span:
    """How many bytes were alive at the start of a block, at its end, and at most in between."""

    def __init__(self, start: int) -> None:
        self.start = self.end = self.highest = start

    @property
    def workspace(self) -> int:
        """What lived only inside."""
        return self.highest - max(self.start, self.end)


def id_of(tensor: Tensor) -> int:
    """The same for all views of one memory."""
    return int(tensor.untyped_storage()._cdata)
