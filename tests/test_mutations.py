"""The proofs are worth what they catch: each backward is broken in every small way, and must fail.

A mutant is a backward with one thing changed in its source: a statement or a term left out, a sign
or a number changed, a transpose dropped, two arguments exchanged, a condition reversed. A mutant
that passes all proofs means that a proof is missing, or that the line does nothing.
"""

import ast
import copy
import difflib
import importlib
import inspect
import itertools
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from kerasish import set_seed
from kerasish.module import Module
from tests import containers, layers, losses, test_every_loss, test_every_module
from tests.table import EQUIVALENT, LOSSES, MODULES

PROOFS = [importlib.import_module(f"{package.__name__}.{found.name}")
          for package in (layers, containers, losses)
          for found in pkgutil.iter_modules(package.__path__)]
PROOFS += [test_every_module, test_every_loss]

CLASSES = sorted({type(row.make()) for row in [*MODULES, *LOSSES]}, key=lambda cls: cls.__name__)


def owner(cls: type, method: str) -> type:
    """The class that a method comes from."""
    return next(base for base in cls.__mro__ if method in vars(base))


PARTS = ("backward", "backward_layer", "backward_through_time", "unwind")
METHODS = list(dict.fromkeys(
    (owner(cls, method), method) for method in PARTS for cls in CLASSES
    if hasattr(cls, method) and owner(cls, method) is not Module))
METHODS = sorted(METHODS, key=lambda pair: (pair[0].__name__, pair[1]))
METHODS += [(cls, "kernels") for cls in CLASSES
            if inspect.isfunction((vars(cls).get("kernels") or [None])[-1])]
every_method = pytest.mark.parametrize(
    ("cls", "method"), METHODS, ids=[f"{cls.__name__}.{method}" for cls, method in METHODS])


# ---- mutants --------------------------------------------------------------------------------

OTHER_OPERATOR = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
                  ast.FloorDiv: ast.Mult}
OTHER_METHOD = {"add_": "sub_", "sub_": "add_", "mul_": "div_", "div_": "mul_",
                "addmm_": "copy_", "addmv_": "copy_"}
COMMUTATIVE = {"max", "min"}
NAMESPACES = {"torch", "math", "self"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of a node."""
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.BinOp(left, op, right):
            yield from (left, right)
            if type(op) in OTHER_OPERATOR:
                yield ast.BinOp(left, OTHER_OPERATOR[type(op)](), right)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BoolOp(_, values):
            yield from values
        case ast.Compare():
            yield ast.UnaryOp(ast.Not(), node)
        case ast.IfExp(test, body, orelse):
            yield from (body, orelse, ast.IfExp(test, orelse, body))
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Return(value) if value is not None:
            yield ast.Return(ast.UnaryOp(ast.USub(), value))
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Call(function, arguments, keywords):
            yield from calls_instead(function, arguments, keywords)


def calls_instead(function: ast.expr, arguments: list[ast.expr], keywords: list[ast.keyword]
                  ) -> Iterator[ast.AST]:
    if len(arguments) > 1 and not (isinstance(function, ast.Name) and function.id in COMMUTATIVE):
        first, second, *others = arguments
        yield ast.Call(function, [second, first, *others], keywords)
    if isinstance(function, ast.Attribute):
        of, name = function.value, function.attr
        if not (isinstance(of, ast.Name) and of.id in NAMESPACES):
            yield of
        if name in OTHER_METHOD:
            yield ast.Call(ast.Attribute(of, OTHER_METHOD[name], ast.Load()), arguments, keywords)


def definition(cls: type, method: str) -> ast.FunctionDef:
    """The method, or the kernel for backward, as it is written, less docstring and annotations."""
    value = vars(cls)[method]
    source = inspect.getsource(value[-1] if method == "kernels" else value)
    (function,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(function, ast.FunctionDef)
    if ast.get_docstring(function):
        del function.body[0]
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return function


def mutants(cls: type, method: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Each mutant with what was changed."""
    original = definition(cls, method)
    for index, node in enumerate(ast.walk(original)):
        for change in changes(node):
            mutant = copy.deepcopy(original)
            target = next(itertools.islice(ast.walk(mutant), index, None))
            replace(mutant, target, copy.deepcopy(change))
            yield f"{cls.__name__}.{method}: {difference(original, mutant)}", mutant


def replace(tree: ast.AST, target: ast.AST, change: ast.AST) -> None:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is target:
                setattr(node, field, change)
            elif isinstance(value, list):
                value[:] = [change if item is target else item for item in value]


def difference(original: ast.AST, mutant: ast.AST) -> str:
    """The lines that differ."""
    was, now = (ast.unparse(ast.fix_missing_locations(tree)).split("\n")
                for tree in (original, mutant))
    lines = [line for line in difflib.ndiff(was, now) if line[0] in "+-"]
    return " ".join(" ".join(line.split()) for line in lines)


def compiled(cls: type, function: ast.FunctionDef) -> Callable[..., Any]:
    """The function as if it stood in its class, `super()` included."""
    outer = ast.parse(f"def make(__class__):\n    return {function.name}").body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.body.insert(0, function)
    tree = ast.fix_missing_locations(ast.Module([outer], []))
    made: dict[str, Any] = {}
    exec(compile(tree, f"<mutant of {cls.__name__}>", "exec"),
         vars(inspect.getmodule(cls)), made)
    return made["make"](cls)


# ---- proofs ---------------------------------------------------------------------------------


def runs_of(test: Callable[..., None]) -> Iterator[Callable[[], None]]:
    """A parametrized test with each of its arguments."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        axes.append([dict(zip(names, value if len(names) > 1 else [value], strict=True))
                     for value in values])
    for chosen in itertools.product(*axes):
        yield partial(test, **{name: value for part in chosen for name, value in part.items()})


@cache
def proofs(cls: type) -> list[Callable[[], None]]:
    """The tests of a class: files that speak of it, its own rows, nets that it is part of."""
    runs = [(file, run) for file in PROOFS for name, test in vars(file).items()
            if name.startswith("test_") for run in runs_of(test)]
    near = {run: nearness(cls, file, run) for file, run in runs}
    return sorted((run for run in near if near[run] < 3), key=near.get)


def nearness(cls: type, file: ModuleType, run: Any) -> float:
    """How soon a proof is asked: what fails is found sooner where a class is at home."""
    if "row" not in run.keywords:
        speaks = any(inspect.isclass(value) and issubclass(value, cls)
                     for value in vars(file).values())
        at_home = file.__name__.split(".")[1] == cls.__module__.split(".")[1]
        return 3 if not speaks else 0 if at_home else 2.5
    made = run.keywords["row"].make()
    if isinstance(made, cls):
        return 1
    return 2 if isinstance(made, Module) and any(
        isinstance(part, cls) for part in made.modules()) else 3


def passes(proof: Callable[[], None]) -> bool:
    set_seed(0)
    try:
        proof()
    except KeyboardInterrupt:
        raise
    except BaseException:  # pytest's own failures are no Exceptions
        return False
    return True


def catcher(cls: type, method: str, mutant: ast.FunctionDef, among: list[Any]) -> Any:
    """The first of these proofs that fails with the mutant and not without it, if any."""
    value = compiled(cls, mutant)
    if method == "kernels":
        value = (vars(cls)["kernels"][0], value)
    for proof in among:
        with mock.patch.object(cls, method, value):
            passed = passes(proof)
        if not passed and is_sound(proof):
            return proof
    return None


@cache
def is_sound(proof: Callable[[], None]) -> bool:
    """Whether a proof passes where nothing is changed: one that does not catches nothing."""
    return passes(proof)


@every_method
def test_every_mutant_is_caught_and_the_original_is_not(cls: type, method: str) -> None:
    asked, missed, catchers = list(proofs(cls)), [], []
    for what, mutant in mutants(cls, method):
        if any(re.search(same, what) for same in EQUIVALENT):
            continue
        if proof := catcher(cls, method, mutant, asked):
            catchers.append(proof)
            asked.remove(proof)
            asked.insert(0, proof)  # it is likely to catch the next one, too
        else:
            missed.append(what)
    assert missed == [] and catchers
    assert catcher(cls, method, definition(cls, method), list(dict.fromkeys(catchers))) is None


def test_every_module_and_loss_of_the_table_is_mutated() -> None:
    assert {cls for cls, method in METHODS if method == "backward"} == {
        owner(cls, "backward") for cls in CLASSES}
