"""Hostile model files end in ModelFileError: nothing runs, opens, imports, or takes much memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.saving.hostile import write_all

ROOT = Path(__file__).resolve().parent.parent.parent
HARMLESS = (
    "good", "net.tree.parameters.0.weight.learning_rate_multiplier=1e+308",
    "net.tree.parameters.0.weight.regularizer=null", "net.tree.parameters.2.weight.constraint=null",
    "training.objects.0.config.initial_learning_rate=", "training.tree.optimizer.iterations=",
    "training.tree.optimizer.gathered_batches=0",
    "net.objects.0.config.l2=", "net.objects.3.config.weight_initializer=null",
    "training.objects.0.config.decay_steps=", "training.objects.1.config.use_ema=",
    "training.tree.optimizer.gathered_rows=", "training.tree.optimizer.learning_rate=",
    "training.tree.optimizer.schedule=", "object 1 as optimizer",
    "object 2 as loss", "object 3 as metrics", "a long graph", "huge ", "1000 as ",
)  # fmt: skip
"""What may be loaded, since it says something legal: another number, say."""
MIB = 64
TIMES = 180
"""How often the good file, 5.5 ms, is loaded in a second of a usual machine; a slow one gets more.
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What came of each file, by what it is: loaded by one program that listens to all events."""
    folder = tmp_path_factory.mktemp("hostile")
    names = write_all(folder)
    ran = subprocess.run([sys.executable, "-m", "tests.saving.hostile", str(folder)], cwd=ROOT,
                         capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return {names.get(path, path): outcome for path, outcome in json.loads(ran.stdout).items()}


def test_there_are_many(outcomes: dict[str, list[Any]]) -> None:
    assert len(outcomes) >= 300


def test_each_is_refused_or_harmless(outcomes: dict[str, list[Any]]) -> None:
    assert outcomes["good"][0] == "loaded"
    others = {name: result for name, (result, *_) in outcomes.items() if result != "refused"}
    assert {name: result for name, result in others.items() if result != "loaded" or not (
        name.startswith(HARMLESS) or name.endswith("unbuilt"))} == {}


def test_nothing_is_run_opened_or_imported(outcomes: dict[str, list[Any]]) -> None:
    assert {name: events for name, (_, events, *_) in outcomes.items() if events} == {}


def test_none_takes_much_memory(outcomes: dict[str, list[Any]]) -> None:
    assert {name: mib for name, (*_, mib) in outcomes.items() if mib > MIB} == {}


def test_none_takes_more_than_a_second(outcomes: dict[str, list[Any]]) -> None:
    second = max(1.0, TIMES * outcomes["good"][2])
    assert {name: seconds for name, (_, _, seconds, _) in outcomes.items()
            if seconds > second} == {}
