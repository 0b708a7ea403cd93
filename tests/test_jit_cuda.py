"""Steps captured as a graph: what is copied where, on any device; on CUDA, the graphs themselves.

Without CUDA a stand-in captures: it runs the step on the same memory whenever it is launched.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import Model, Sequential
from kerasish.jit import executing
from kerasish.jit.captured import Captured
from kerasish.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Tanh
from kerasish.optimizers import SGD, Adam, AdamW
from tests.test_jit import classes, numbers, require_same, trained


class Simulated(Captured):
    """Captures nothing: a launch runs the step again, into the same outputs."""

    made: list["Simulated"]
    captures = launches = 0

    def _capture(
        self, without_a_trace: Callable[[], None], run: Callable[[], list[Tensor]]
    ) -> tuple[Callable[[], None], list[Tensor]]:
        if not self.captures:
            self.made.append(self)
        self.captures += 1
        tensors = self.step.tensors
        memory = [*tensors.vectors, *tensors.kept_buffers]
        before = [each.clone() for each in memory]
        without_a_trace()
        assert all(map(torch.equal, memory, before)), "warming up has changed something"
        outputs = run()
        for each, value in zip(memory, before, strict=True):
            each.copy_(value)  # capturing runs nothing

        def launch() -> None:
            self.launches += 1
            for out, value in zip(outputs, run(), strict=True):
                out.copy_(value)

        return launch, outputs


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Simulated]]:
    made: list[Simulated] = []
    monkeypatch.setattr(Simulated, "made", made, raising=False)
    monkeypatch.setitem(executing.PROGRAMS, "cpu", Simulated)
    return made  # type: ignore[return-value]


def conv() -> Sequential:
    """A bias before a batch norm has a gradient of rounding errors, which Adam makes large."""
    return Sequential(Conv2d(4, kernel_size=3, padding=1, bias=False), BatchNorm2d(), ReLU(),
                      MaxPool2d(2), Flatten(), Linear(3))


def noisy() -> Sequential:
    return Sequential(Linear(8), Tanh(), Dropout(0.4), Linear(3))


CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adam": {"optimizer": Adam},
    "buffers": {"make": conv, "x": numbers(1, 6, 6), "optimizer": AdamW},
    "noise": {"make": noisy},
    "clipped": {"optimizer": lambda: SGD(0.1, momentum=0.9, global_clipnorm=0.5)},
    "averaged": {"optimizer": lambda: Adam(use_ema=True, ema_momentum=0.5)},
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_captured_steps_train_as_they_do_alone(
    name: str, steps: int, simulated: list[Simulated]
) -> None:
    case = CASES[name]
    captured = trained(steps=steps, **case)
    require_same(captured, trained(jit=False, steps=steps, **case))
    (program,) = simulated
    assert program.captures == 1
    assert program.launches == 2 * 5  # the last batch of an epoch is short


def test_memory_that_has_moved_is_captured_anew(simulated: list[Simulated]) -> None:
    def moved(jit: bool) -> Model:
        model = trained(make=conv, x=numbers(1, 6, 6), jit=jit)
        norm: Any = model.get_layer(index=1)
        norm.running_mean = norm.running_mean.clone()
        model.fit(numbers(1, 6, 6), classes(), batch_size=4, epochs=1, seed=4, verbose=0)
        return model

    require_same(moved(jit=True), moved(jit=False))
    assert simulated[0].captures == 2


def test_what_cannot_be_captured_is_said_once(
    simulated: list[Simulated], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(self: Captured, *runs: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Simulated, "_capture", fails)
    require_same(trained(), trained(jit=False))
    told = capsys.readouterr().err
    assert told.count("got RuntimeError: operation not permitted when stream is capturing") == 1


@pytest.mark.cuda
@pytest.mark.parametrize("make", [conv, noisy])
def test_graphs_train_as_steps_do(make: Callable[[], Sequential]) -> None:
    x = numbers(1, 6, 6) if make is conv else numbers(4)
    models = []
    for jit in (True, False):
        model = Model(make(), device="cuda")
        model.compile(Adam(), "cross_entropy", metrics=["accuracy"], steps_per_execution=2,
                      jit_compile=jit)
        model.fit(x, classes(), batch_size=4, epochs=2, seed=3, verbose=0)
        models.append(model)
    assert models[0].jit is not None and len(models[0].jit.programs) == 1
    require_same(*models, rtol=1e-3, atol=1e-5)


@pytest.mark.cuda
def test_no_launch_waits_for_the_device() -> None:
    model = Model(noisy(), device="cuda")
    model.compile(Adam(), "cross_entropy", steps_per_execution=2, jit_compile=True)
    x, y = numbers(4).cuda(), classes().cuda()
    model.fit(x, y, batch_size=4, epochs=1, seed=3, verbose=0)
    (program,) = model.jit.programs.values()  # type: ignore[union-attr]
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        program(2, torch.ones(2, 8, device="cuda"), [
            draw.place_for(2, torch.device("cuda")) for draw in program.step.draws],
            [torch.stack([x[:4]] * 2), torch.stack([y[:4]] * 2)])
    finally:
        torch.cuda.set_sync_debug_mode("default")
