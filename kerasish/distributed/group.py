"""What processes that train together say to each other: few things, and all of them in step."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed
from torch import Tensor

torch_distributed: Any = torch.distributed
"""Its names are not all known to type checkers."""
_gather: Any = getattr(torch_distributed, "all_gather_single", None) or getattr(
    torch_distributed, "all_gather_into_tensor", None)
"""Its older name warns in newer releases of torch."""
_GRACE = 2.0
"""Seconds between the first that gives up waiting and the last."""
Value = TypeVar("Value")


class Group(NamedTuple):
    """The processes that train together, as one of them sees them.

    Every method is to be called by all of them, in the same order.
    """

    rank: int
    """The number of this process, from 0."""
    size: int
    """How many there are."""
    device: torch.device = torch.device("cpu")
    """Where tensors must be that are sent."""
    store: Any = None
    """Where they leave word for each other when nothing else gets through."""

    def rows(self, count: int) -> slice:
        """The rows of a batch of so many that are this process' own.

        All take as many, but the last ones: these have fewer, or none.

        Example:
            >>> [Group(rank, 3).rows(7) for rank in range(3)]
            [slice(0, 3, None), slice(3, 6, None), slice(6, 7, None)]
        """
        share = -(-count // self.size)
        return slice(min(count, self.rank * share), min(count, (self.rank + 1) * share))

    def gathered(self, own: Tensor, count: int) -> Tensor:
        """The rows of all processes in one tensor, in order.

        Args:
            own: this process' rows, as `rows` says which.
            count: how many there are in all.
        """
        share = -(-count // self.size)
        whole = own.new_empty(share * self.size, *own.shape[1:])
        part = own.contiguous()
        if len(part) < share:
            part = own.new_zeros(share, *own.shape[1:])
            part[: len(own)] = own
        with self._named_if_stuck():
            _gather(whole, part)
        return whole[:count]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Makes each the sum of those of all processes, to the bit the same everywhere."""
        with self._named_if_stuck():
            for tensor in tensors:
                torch_distributed.all_reduce(tensor)

    def sum(self, tensor: Tensor, owner: int | None = None) -> Any:
        """Begins to make a tensor the sum of those of all processes, in its owner, or in all.

        Returns: what is to be waited for.
        """
        with self._named_if_stuck():
            if owner is None:
                return torch_distributed.all_reduce(tensor, async_op=True)
            return torch_distributed.reduce(tensor, owner, async_op=True)

    def give(self, tensor: Tensor, owner: int) -> Any:
        """Begins to make a tensor what it is in its owner.

        Returns: what is to be waited for.
        """
        with self._named_if_stuck():
            return torch_distributed.broadcast(tensor, owner, async_op=True)

    def wait_for(self, works: Iterable[Any]) -> None:
        """Waits until all of these have been sent."""
        with self._named_if_stuck():
            for work in works:
                work.wait()

    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Makes each what it is in process 0."""
        with self._named_if_stuck():
            for tensor in tensors:
                torch_distributed.broadcast(tensor, 0)

    def agreed(self, value: Value) -> Value:
        """The value of process 0: plain data and tensors."""
        held = [value]
        with self._named_if_stuck():
            torch_distributed.broadcast_object_list(held, 0, device=self.device)
        return held[0]

    def any(self, flags: Iterable[bool]) -> list[bool]:
        """Whether each of these holds in any process."""
        counts = torch.tensor([float(flag) for flag in flags], device=self.device)
        self.add_up([counts])
        return [count > 0 for count in counts.tolist()]

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Refuses processes that are about to train different things.

        Raises: ValueError, the same everywhere, naming the first fact that differs.

        Args:
            facts: what must be the same, by the name that the error calls it by.
        """
        found: list[Any] = [None] * self.size
        with self._named_if_stuck():
            torch_distributed.all_gather_object(
                found, {name: repr(value) for name, value in facts.items()})
        for name in facts:
            for rank, other in enumerate(found):
                if other[name] != found[0][name]:
                    raise ValueError(
                        f"fit expects the same {name} in all {self.size} processes; got "
                        f"{found[0][name]} in process 0 and {other[name]} in process {rank}. Run "
                        "the same script, with the same settings, in all of them.")

    @contextmanager
    def _named_if_stuck(self) -> Iterator[None]:
        """Says which process does not answer, where one does not."""
        try:
            yield
        except RuntimeError as error:
            if absent := self._absent():
                error.add_note(f"process {self.rank} of {self.size} waited in vain for process "
                               f"{' and '.join(map(str, absent))}: it hangs, or has ended. Look at "
                               "what it printed last.")
            raise

    def _absent(self) -> list[int]:
        """Those that do not say within some seconds that they are waiting, too."""
        try:
            self.store.set(f"waiting/{self.rank}", "")
            time.sleep(_GRACE)
            return [rank for rank in range(self.size) if not self.store.check([f"waiting/{rank}"])]
        except (AttributeError, RuntimeError):  # there is no store, or it is gone, too
            return []


