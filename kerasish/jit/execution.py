"""Several steps as one program: a loop around one that was written down, by `torch.compile`."""

from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from kerasish.jit.step import Step
from kerasish.optimizers.flat import lined

_UNROLLED = 5
"""Steps in a row, at most, in one round of the loop: each round costs some microseconds."""
_SMALL = 50_000
"""Parameters up to which steps are so short that this matters."""
_OPTIONS = {"cpp_wrapper": True}
"""On the CPU the program is C++ throughout: its calls cost less than those from Python."""

compiler: dict[str, Any] = {"backend": "inductor", "options": _OPTIONS}
"""What `torch.compile` is told, besides."""


def _of_its_own(method: Any) -> Callable[..., list[Tensor]]:
    """The method with code of its own: torch keeps compiled programs by the code they are of."""
    function = method.__func__
    code = function.__code__.replace()
    return MethodType(FunctionType(code, function.__globals__, function.__name__),
                      method.__self__)


def _no_guards(guards: Sequence[Any]) -> list[bool]:
    """Whoever calls a program has looked already whether it is the right one."""
    return [False] * len(guards)


class Execution:
    """Runs up to so many steps at once, always a multiple of `rounds`.

    Args:
        step: what was written down.
        most: steps at once.
    """

    def __init__(self, step: Step, most: int) -> None:
        self.step, self.most = step, most
        size = sum(p.data.numel() for p in step.tensors.trained)
        self.row = 1 if size > _SMALL else max(
            row for row in range(1, _UNROLLED + 1) if most % row == 0)
        run = _of_its_own(self._rounds if most > self.row else self._straight)
        options = compiler.get("options", {}) | {"guard_filter_fn": _no_guards}
        self._run: Callable[..., list[Tensor]] = torch.compile(
            run, fullgraph=True, dynamic=False, **(compiler | {"options": options}))

    def __call__(
        self, steps: int, numbers: Tensor, noise: list[Tensor], batches: list[Tensor]
    ) -> list[Tensor]:
        """Trains for so many steps, a multiple of `row`; answers their outputs in stacks.

        Numbers, noise and batches are those of `most` steps; what is beyond is not read.
        """
        tensors = self.step.tensors
        with torch.inference_mode(False), torch.no_grad():
            return self._run(torch.tensor(steps), numbers, noise, batches, tensors.vectors,
                             tensors.kept_buffers)

    def _taken(
        self, vectors: list[Tensor], buffers: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What is carried from step to step, and what is not: tensors that share no memory."""
        tensors = self.step.tensors
        return ([*(place.of(vectors).clone() for place in tensors.places),
                 *(each.clone() for each in buffers)],
                [place.of(vectors).clone() for place in tensors.frozen_places])

    def _put_back(
        self, vectors: list[Tensor], buffers: list[Tensor], carried: list[Tensor]
    ) -> None:
        """Writes each vector once, with what lies between the places as it was."""
        places = self.step.tensors.places
        for number, vector in enumerate(vectors):
            pieces, end = [], 0
            mine = [(place, value) for place, value in zip(places, carried, strict=False)
                    if place.vector == number]
            for place, value in sorted(mine, key=lambda pair: pair[0].start):
                pieces += [vector[end : place.start], lined(value, place.channels_last)]
                end = place.stop
            if mine:
                vector.copy_(torch.cat([*pieces, vector[end:]]))
        for buffer, value in zip(buffers, carried[len(places):], strict=True):
            buffer.copy_(value)

    def _in_row(
        self, place: Any, numbers: Tensor, noise: list[Tensor], batches: list[Tensor],
        frozen: list[Tensor], carried: list[Tensor],
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """`row` steps from this place on."""
        outputs = []
        for i in range(self.row):
            def at(stack: Tensor, i: int = i) -> Tensor:
                if place is None:
                    return stack[i]
                return stack.index_select(0, (place + i).view(1)).squeeze(0)

            carried, outcome = self.step.graph(
                carried, frozen, [at(each) for each in batches], list(at(numbers).unbind()),
                [at(each) for each in noise])
            outputs.append(outcome)
        return carried, outputs

    def _straight(
        self, steps: Tensor, numbers: Tensor, noise: list[Tensor], batches: list[Tensor],
        vectors: list[Tensor], buffers: list[Tensor],
    ) -> list[Tensor]:
        """All steps in a row."""
        carried, frozen = self._taken(vectors, buffers)
        carried, outputs = self._in_row(None, numbers, noise, batches, frozen, carried)
        self._put_back(vectors, buffers, carried)
        return [torch.stack(each) for each in zip(*outputs, strict=True)]

    def _rounds(
        self, steps: Tensor, numbers: Tensor, noise: list[Tensor], batches: list[Tensor],
        vectors: list[Tensor], buffers: list[Tensor],
    ) -> list[Tensor]:
        """As many as asked for, row by row."""
        from torch._higher_order_ops.while_loop import while_loop

        kept, frozen = self._taken(vectors, buffers)
        stacks = [torch.zeros((self.most, *shape), dtype=dtype)
                  for shape, dtype in self.step.outputs]

        def goes_on(place: Tensor, stacks: list[Tensor], carried: list[Tensor]) -> Tensor:
            return place < steps

        def round_of(place: Tensor, stacks: list[Tensor], carried: list[Tensor]) -> Any:
            carried, outputs = self._in_row(place, numbers, noise, batches, frozen, carried)
            rows = place + torch.arange(self.row)
            stacks = [stack.index_copy(0, rows, torch.stack(each)) for stack, each in zip(
                stacks, zip(*outputs, strict=True), strict=True)]
            return place + self.row, stacks, carried

        start = torch.zeros((), dtype=torch.int64)
        _, outputs, carried = while_loop(  # type: ignore[no-untyped-call]
            goes_on, round_of, (start, stacks, kept))
        self._put_back(vectors, buffers, carried)
        return list(outputs)
