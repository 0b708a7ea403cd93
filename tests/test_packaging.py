"""What is installed, pinned and imported: checks that need no network."""

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import kerasish
import kerasish.callbacks

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(program: str) -> list[str]:
    """The lines that a program prints in a fresh interpreter that finds this checkout first."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_suite_runs_on_this_checkout() -> None:
    assert Path(kerasish.__file__).resolve() == ROOT / "kerasish" / "__init__.py"
    assert Path(kerasish.callbacks.__file__).resolve() == ROOT / "callbacks" / "__init__.py"


def test_import_kerasish_imports_no_heavy_package() -> None:
    program = "import torch, sys; before = set(sys.modules); import kerasish\n" \
              "print(*sorted(set(sys.modules) - before), sep='\\n')"
    added = run(program)
    assert "kerasish.model" in added
    light = sys.stdlib_module_names | {"kerasish", "torch", "numpy", "safetensors"}
    assert {name.split(".")[0] for name in added} - light == set()


def test_callbacks_resolve_on_use() -> None:
    program = "import sys, kerasish\n" \
              "print('kerasish.callbacks' in sys.modules)\n" \
              "print(kerasish.callbacks.EarlyStopping.__module__)\n" \
              "print('kerasish.callbacks' in sys.modules)"
    assert run(program) == ["False", "kerasish.callbacks.early_stopping", "True"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'kerasish' has no attribute 'callback'"):
        kerasish.callback  # noqa: B018 (asking is the test)


def test_every_public_name_resolves() -> None:
    assert [name for name in kerasish.__all__ if not hasattr(kerasish, name)] == []


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == kerasish.__version__
    assert kerasish.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_everything_that_is_asked_for() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pins = dict(line.lower().split("==") for line in lines)
    extras = PROJECT["optional-dependencies"].values()
    asked = [Requirement(line) for line in sum(extras, PROJECT["dependencies"])]
    assert [str(each) for each in asked if pins.get(each.name, "0") not in each.specifier] == []


def test_what_tests_and_examples_import_is_declared() -> None:
    declared = {
        Requirement(line).name
        for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    }
    owners = packages_distributions()
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        if "benchmarks" not in path.parts  # they may import what only they need
        for name in imported(path) - sys.stdlib_module_names - {"kerasish", "tests", "examples"}
        if not declared & {owner.lower() for owner in owners.get(name, [name])}
    ]
    assert wrong == []


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def test_the_examples_in_the_docstrings_of_callbacks_hold() -> None:
    """Run here, since pytest would import the folder as a second package."""
    modules = [importlib.import_module(module.name) for module in pkgutil.walk_packages(
        kerasish.callbacks.__path__, "kerasish.callbacks.")]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 0


def test_import_kerasish_leaves_the_garbage_collector_as_it_was() -> None:
    ask = "import gc; print(gc.isenabled()); import kerasish; print(gc.isenabled())"
    assert run(ask) == ["True", "True"]
    assert run(ask.replace("import gc;", "import gc; gc.disable();")) == ["False", "False"]
