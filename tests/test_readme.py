"""What README.md shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from kerasish import (
    callbacks,
    constraints,
    containers,
    layers,
    losses,
    metrics,
    optimizers,
    schedules,
)
from kerasish.gradcheck import GradientMismatch

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {i}" for i in range(len(BLOCKS))])
def test_every_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(block)


def test_the_module_of_ones_own_is_proved_and_a_wrong_one_is_named() -> None:
    (block,) = (block for block in BLOCKS if "class Scale" in block)
    wrong = block.replace("(dy * x).sum(0)", "dy.sum(0)")
    assert wrong != block
    torch.manual_seed(0)
    with pytest.raises(GradientMismatch) as error:
        run(wrong)
    assert re.search(r"gradient of weight at \(0,\): backward gives -?[\d.]+, finite differences "
                     r"give -?[\d.]+;", str(error.value))


PACKAGES = (layers, containers, losses, metrics, optimizers, schedules, callbacks)
IN_THREE = {"AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool", "ZeroPad", "ReflectionPad",
            "ReplicationPad", "CircularPad"}
"""Listed without the 1d, 2d and 3d behind their names."""
BASES = {"Loss", "Metric", "Held", "ElementwiseMean", "FunctionMetric", "LossMetric", "Optimizer",
         "FlatParameters", "RunningLogs", "Scores", "Schedule", "Callback", "CallbackList"}
"""What users derive from, or never name."""


def test_what_is_listed_exists_and_what_exists_is_listed() -> None:
    (table,) = re.findall(r"## What there is\n(.*?)\nLayers take", README, re.DOTALL)
    listed = set(re.findall(r"\b[A-Z]\w+", table)) - {"False"}
    spelled = IN_THREE | {name.removesuffix("1d") for name in listed if name.endswith("1d")}
    listed |= {f"{name}{n}d" for name in spelled for n in (1, 2, 3)}
    for package in PACKAGES:
        public = {name for name in package.__all__ if name[0].isupper()}
        assert public - BASES - listed == set(), package.__name__
    known = {name for package in PACKAGES for name in package.__all__}
    assert listed - IN_THREE - known == {"MaxNorm"} and hasattr(constraints, "MaxNorm")
