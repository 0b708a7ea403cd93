"""Steps on CUDA: one of them as a graph of kernels, launched for batch after batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.jit.execution import Execution
from kerasish.jit.step import Step

_WARM_UP = 3
"""Runs before a capture, so that libraries have allocated what they need."""


class Captured(Execution):
    """Runs up to so many steps at once, with neither Python nor the host between their kernels.

    A captured graph reads and writes memory that stays where it is: batches, numbers and noise are
    copied to one place each, and weights, slots and buffers are where they always are. If one of
    these has moved, a new graph is captured.

    Args:
        step: what was written down.
        most: steps at once.
    """

    def __init__(self, step: Step, most: int) -> None:
        self.step, self.most, self.row = step, most, 1
        self._places: list[Tensor] = []
        self._memory: list[int] = []
        self._replay: Callable[[], None]
        self._outputs: list[Tensor] = []

    def __call__(
        self, steps: int, numbers: Tensor, noise: list[Tensor], batches: list[Tensor]
    ) -> list[Tensor]:
        given = [numbers, *noise, *batches]
        with torch.inference_mode(False), torch.no_grad():
            self._make_ready(given, len(noise))
            stacks = [torch.zeros(self.most, *out.shape[1:], dtype=out.dtype, device=out.device)
                      for out in self._outputs]
            for i in range(steps):
                for place, each in zip(self._places, given, strict=True):
                    place.copy_(each[i : i + 1])
                self._replay()
                for stack, out in zip(stacks, self._outputs, strict=True):
                    stack[i : i + 1].copy_(out)
        return stacks

    def _make_ready(self, given: list[Tensor], noises: int) -> None:
        tensors = self.step.tensors
        vectors, buffers = tensors.vectors, tensors.kept_buffers
        memory = [each.data_ptr() for each in (*vectors, *buffers)]
        if memory == self._memory:
            return
        self._places = [each[:1].clone() for each in given]
        numbers, *others = self._places
        noise, batches = others[:noises], others[noises:]

        def without_a_trace() -> None:
            carried, frozen = self._taken(vectors, buffers)
            self._in_row(None, numbers, noise, batches, frozen, carried)

        def run() -> list[Tensor]:
            return self._straight(numbers, numbers, noise, batches, vectors, buffers)

        self._replay, self._outputs = self._capture(without_a_trace, run)
        self._memory = memory

    def _capture(
        self, without_a_trace: Callable[[], None], run: Callable[[], list[Tensor]]
    ) -> tuple[Callable[[], None], list[Tensor]]:
        """What launches the kernels of `run`, and where they leave its outputs."""
        cuda: Any = torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(_WARM_UP):
                without_a_trace()
        cuda.current_stream().wait_stream(stream)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            outputs = run()
        return graph.replay, outputs
