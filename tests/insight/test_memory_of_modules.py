"""What each exported module takes, planned and measured: the corpus of the one table."""

from typing import Any

import pytest
import torch

from kerasish import Model
from kerasish.insight.live import held_by
from kerasish.insight.memory.meta import LiveOnMeta
from kerasish.insight.memory.weightless import weightless
from kerasish.layers import (
    GELU,
    LSTM,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose2d,
    Flatten,
    GroupNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    ReLU,
    SiLU,
    Upsample,
)
from kerasish.layers.recurrent import onednn
from kerasish.trees import leaves, mapped
from tests.insight.measured import measured_calls, measured_peak
from tests.table import MODULES, Row, seeded

BATCH = 512
SLACK = 16_000
"""Bytes: the state of a generator, and what kernels work in."""
TOY = {"Conv2d with a pair for each axis", "Conv3d, in groups, with three of each",
       "ConvTranspose1d", "ConvTranspose2d with a pair for each axis"}
"""Of two or three channels, which oneDNN fills up to eight, or does not: by 10 to 60 % off."""


def planned_calls(module: Any, x: Any, dy: Any) -> int:
    """The most that a forward and a backward are planned to allocate."""
    with weightless(Model(module, device="cpu")) as twin:
        x, dy = (mapped(lambda part: part.to("meta"), each) for each in (x, dy))
        live = LiveOnMeta("cpu", [*leaves(x), *leaves(dy), *held_by(twin)])
        twin.module.train()
        with torch.inference_mode(), live:
            twin.module.forward(x)
            twin.module.backward(dy)
            live.begin()
            before = live.size
            y = twin.module.forward(x)
            dx = twin.module.backward(dy)
        del y, dx
    return live.peak.size - before


@pytest.mark.parametrize("row", [row for row in MODULES if row.id not in TOY],
                         ids=lambda row: row.id)
def test_every_module_takes_what_is_planned(row: Row) -> None:
    module = row.built(torch.float32).train()
    x, dy = row.x(BATCH, dtype=torch.float32), row.dy(BATCH, dtype=torch.float32)
    planned = planned_calls(module, x, dy)
    module.train()
    with seeded():
        measured = measured_calls(module, x, dy)
    assert planned == pytest.approx(measured, rel=0.05, abs=SLACK)


CONVOLUTIONS = {
    "of one channel": ((1, 28, 28), lambda: [
        Conv2d(16, kernel_size=3), ReLU(), MaxPool2d(2), Conv2d(32, kernel_size=3), ReLU()]),
    "with strides": ((3, 32, 32), lambda: [
        Conv2d(32, kernel_size=3, stride=2, padding=1), BatchNorm2d(), GELU(),
        Conv2d(64, kernel_size=3, stride=2, padding=1), GroupNorm(8), SiLU()]),
    "of sequences": ((8, 100), lambda: [
        Conv1d(32, kernel_size=5, padding=2), ReLU(), MaxPool1d(2), Conv1d(64, kernel_size=3),
        BatchNorm1d()]),
    "of volumes": ((3, 8, 12, 12), lambda: [
        Conv3d(16, kernel_size=3, padding=1), ReLU(), Conv3d(16, kernel_size=3)]),
    "transposed": ((3, 16, 16), lambda: [
        Conv2d(16, kernel_size=3, stride=2, padding=1), ReLU(),
        ConvTranspose2d(16, kernel_size=4, stride=2, padding=1), ReLU(),
        ConvTranspose2d(8, kernel_size=3, padding=1)]),
    "in groups": ((3, 16, 16), lambda: [
        Conv2d(16, kernel_size=3, padding=1), Conv2d(16, kernel_size=3, padding=1, groups=16),
        Conv2d(32, kernel_size=1), ReLU(), Conv2d(32, kernel_size=3, groups=4)]),
    "with larger images between": ((3, 16, 16), lambda: [
        Conv2d(16, kernel_size=3, padding=1, padding_mode="reflect"), Upsample(None, 2, "bilinear"),
        Conv2d(8, kernel_size=3, padding=1, dilation=2), Upsample(None, 2)]),
}


@pytest.mark.parametrize("size", [1, 32])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_take_what_is_planned(name: str, size: int) -> None:
    shape, make = CONVOLUTIONS[name]
    model = Model(*make(), Flatten(), Linear(10), device="cpu")
    model.compile("adam", "cross_entropy")
    x, y = torch.randn(size, *shape), torch.randint(10, (size,))
    planned = model.plan(size, x, y)
    assert planned.peak == pytest.approx(measured_peak(model, x, y), rel=0.05)


def test_the_workspace_of_onednn_is_known_without_asking_it() -> None:
    for steps, samples, features, hidden in [(20, 32, 64, 128), (40, 8, 300, 128), (20, 2, 64, 256),
                                             (5, 3, 4, 6), (7, 1, 3, 512), (1, 5, 9, 100)]:
        cell = LSTM(features, hidden)
        cell.build((steps, features))
        weights = [getattr(cell, name).data for name in ("weight_ih_l0", "weight_hh_l0",
                                                         "bias_ih_l0", "bias_hh_l0")]
        starts = [torch.zeros(samples, hidden) for _ in range(2)]
        *_, kept = onednn.lstm(torch.zeros(steps, samples, features), starts, weights, False)
        assert kept.workspace.nbytes == onednn.workspace_bytes(steps, samples, features, hidden)
