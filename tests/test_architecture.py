"""The walls of the house: what may import what, how large things may be, what has words."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for top in ("kerasish", "callbacks") for path in (ROOT / top).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

FLOORS = {
    0: "checks configured devices naming types trees shapes random registry "
       "initializers regularizers constraints",
    1: "parameter paths hangings differentiable joint node module places",
    2: "layers containers differences gradcheck losses metrics optimizers schedules data "
       "plan precision watching",
    3: "hooks saving distributed plots records",
    4: "history progress replaying",
    5: "compiling contents endings executions inspectable jit resuming running savable stepping "
       "streaming together training export insight datasets",
    6: "model __init__",
    7: "callbacks",
}
FLOOR = {place: floor for floor, places in FLOORS.items() for place in places.split()}

AUTOGRAD = ("torch.nn", "torch.autograd", "torch.optim", "torch.func", "torch._C._nn",
            "torch.enable_grad", "torch.set_grad_enabled", "functorch")
MAY_USE_AUTOGRAD = "kerasish/export/"  # it makes the torch twin of a model
MAY_HIDE_IMPORTS = {("kerasish/__init__.py", "__getattr__")}  # it makes kerasish.callbacks lazy

RUN_TIME = {"torch", "numpy", "tqdm", "tensorboard", "safetensors"}
AT_START = {"kerasish", "torch", "numpy", "safetensors"}
ON_USE = RUN_TIME | {"matplotlib", "PIL"}  # pillow comes with tensorboard

AT_THE_TOP = set(".ci .gitignore CHANGELOG.md CONTRIBUTING.md LICENSE MANIFEST.in README.md "
                 "SECURITY.md callbacks constraints.txt examples kerasish pyproject.toml "
                 "tests".split())

FILE_LINES, FUNCTION_LINES, CLASS_LINES = 350, 50, 150

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


# ---- what the files say -------------------------------------------------------------------------


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("kerasish", *parts) if parts[0] == "callbacks" else parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def floor(module: str) -> int | None:
    """The floor of a module: its first part below kerasish decides."""
    _, *parts = module.split(".")
    return FLOOR.get(parts[0] if parts else "__init__")


def nodes(node: ast.AST, inside: str | None = None) -> Iterator[tuple[ast.AST, str | None]]:
    """All nodes that run, each with the outermost function that it lies in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            if not ast.unparse(child.test).startswith("not "):
                child = ast.Module(child.orelse, [])
        within = inside
        if inside is None and isinstance(child, FUNCTIONS):
            within = getattr(child, "name", "lambda")
        yield child, within
        yield from nodes(child, within)


def imports(path: Path) -> Iterator[tuple[str, int, str | None]]:
    """The full names that a file imports, with the line and the function around it."""
    for node, inside in nodes(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node)
            yield from ((f"{base}.{alias.name}", node.lineno, inside) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("import_module", "__import__")
        ):
            called = node.args[0] if node.args else None
            name = str(called.value) if isinstance(called, ast.Constant) else "."
            yield name if name[0] != "." else "kerasish.?", node.lineno, inside


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module_name(path.with_name("__init__.py")).split(".")
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def own(name: str) -> str | None:
    """The module of this project that an imported name is, or lies in; None for others'."""
    if name.split(".")[0] not in ("kerasish", "callbacks"):
        return None
    name = name if name.startswith("kerasish") else f"kerasish.{name}"
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name


def edges(path: Path) -> Iterator[tuple[str, int]]:
    """The modules of this project that importing a file imports first, with the line."""
    for name, line, inside in imports(path):
        target = own(name)
        if target and (place(path), inside) not in MAY_HIDE_IMPORTS:
            yield target, line
            package = target.rpartition(".")[0]
            while package.count(".") and not f"{module_name(path)}.".startswith(f"{package}."):
                yield package, line  # Python runs the package's __init__ before the module
                package = package.rpartition(".")[0]


# ---- imports ------------------------------------------------------------------------------------


def test_every_file_has_a_floor() -> None:
    assert [place(path) for name, path in MODULES.items() if floor(name) is None] == []


def test_imports_never_go_up() -> None:
    up = [
        f"{place(path)}:{line} imports {target}: floor {floor(name)} imports floor {floor(target)}"
        for name, path in MODULES.items()
        for target, line in edges(path)
        if (floor(target) or 0) > (floor(name) or 0)
    ]
    assert up == []


def test_imports_never_go_in_a_circle() -> None:
    graph = {name: {target for target, _ in edges(path)} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_no_own_import_is_hidden_in_a_function() -> None:
    hidden = [
        f"{place(path)}:{line} imports {name} in {inside}"
        for path in FILES
        for name, line, inside in imports(path)
        if inside and own(name) and (place(path), inside) not in MAY_HIDE_IMPORTS
    ]
    assert hidden == []


def test_only_allowed_packages_are_imported_and_heavy_ones_on_use() -> None:
    light = AT_START | sys.stdlib_module_names
    wrong = [
        f"{place(path)}:{line} imports {name} " + (f"in {inside}" if inside else "at start")
        for path in FILES
        for name, line, inside in imports(path)
        if name.split(".")[0] not in (light | ON_USE if inside else light)
        or (name.startswith("torch.utils.tensorboard") and not inside)
    ]
    assert wrong == []


def full_names(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported name, attribute chain and string that may name a module, imports resolved."""
    yield from ((name, line) for name, line, _ in imports(path))
    local = {
        alias.asname or alias.name.split(".")[0]:
            f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom)
            else alias.name if alias.asname else alias.name.split(".")[0]
        for node, _ in nodes(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node, _ in nodes(tree(path)):
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            yield ".".join([local.get(first, first), *rest]), node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            whose, *what = map(ast.unparse, node.args)
            yield f"{local.get(whose, whose)}.{''.join(what[:1])[1:-1]}", node.lineno


def test_there_is_no_autograd() -> None:
    found = {
        f"{place(path)}:{line} uses {name}"
        for path in FILES
        if not place(path).startswith(MAY_USE_AUTOGRAD)
        for name, line in full_names(path)
        if any(f"{name}.".startswith(f"{forbidden}.") for forbidden in AUTOGRAD) and " " not in name
    }
    assert found == set()


# ---- sizes --------------------------------------------------------------------------------------


def is_text(node: ast.AST) -> bool:
    """Whether a statement is a string alone: a docstring, of a name as well."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def lines_of(node: ast.AST) -> range:
    return range(node.lineno, node.end_lineno + 1)  # type: ignore[attr-defined]


@cache
def code_lines(path: Path) -> set[int]:
    """The lines of a file without blank ones, comments and docstrings."""
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in blank]
    code = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return code.difference(*(lines_of(node) for node, _ in nodes(tree(path)) if is_text(node)))


def test_files_are_short() -> None:
    lengths = {place(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in FILES:
        for node, _ in nodes(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if is_text(node.body[0]) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if length > FUNCTION_LINES:
                    long[f"{place(path)}:{node.lineno} {node.name}"] = length
    assert long == {}


def test_classes_are_short() -> None:
    lengths = {
        f"{place(path)}:{node.lineno} {node.name}": len(code_lines(path) & set(lines_of(node)))
        for path in FILES
        for node, _ in nodes(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    assert {name: length for name, length in lengths.items() if length > CLASS_LINES} == {}


# ---- names and documentation --------------------------------------------------------------------


def test_no_file_is_a_catch_all() -> None:
    everywhere = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    catch_all = {"utils", "helpers", "misc"}
    assert [place(path) for path in everywhere
            if path.stem.strip("_") in catch_all or path.parent.name in catch_all
            or path.stem.endswith("_v2")] == []


def undocumented(module: ModuleType) -> Iterator[str]:
    """The public names defined in a module that nothing documents; a base class' words count."""
    if not module.__doc__:
        yield module.__name__
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from undocumented_in_class(value)
        elif callable(value) and not value.__doc__:
            yield f"{module.__name__}.{name}"


def undocumented_in_class(cls: type) -> Iterator[str]:
    words = vars(cls).get("__doc__")
    if not words or words.startswith(f"{cls.__name__}("):  # made by Python
        yield f"{cls.__module__}.{cls.__name__}"
    for name, value in vars(cls).items():
        method = inspect.isroutine(value) or isinstance(value, property)
        if method and not name.startswith("_") and not any(
            getattr(vars(base).get(name), "__doc__", None) for base in cls.__mro__
        ):
            yield f"{cls.__module__}.{cls.__name__}.{name}"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_documented(name: str) -> None:
    assert list(undocumented(importlib.import_module(name))) == []


# ---- packaging ----------------------------------------------------------------------------------


def test_only_known_names_lie_at_the_top() -> None:
    """What a test writes to a wrong place is not to be kept by accident."""
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if kept.returncode:
        pytest.skip("git does not know these files")
    assert {name.split("/")[0].strip('"') for name in kept.stdout.splitlines()} == AT_THE_TOP


def test_listed_packages_are_the_folders() -> None:
    folders = {module_name(path.with_name("__init__.py")) for path in FILES}
    setuptools = PYPROJECT["tool"]["setuptools"]
    assert setuptools["packages"] == sorted(folders)
    assert setuptools["package-dir"] == {"kerasish.callbacks": "callbacks"}
    assert [name for name in folders if name not in MODULES] == []  # each has an __init__.py


def test_run_time_dependencies_are_the_allowed_ones() -> None:
    lines = PYPROJECT["project"]["dependencies"]
    assert {re.split(r"[^\w.-]", line)[0] for line in lines} == RUN_TIME


def test_every_file_is_one_module() -> None:
    for name in MODULES:
        importlib.import_module(name)
    names: dict[Path, list[str]] = {path: [] for path in FILES}
    for name, module in list(sys.modules.items()):
        if (file := Path(getattr(module, "__file__", None) or "?").resolve()) in names:
            names[file].append(name)
    assert [each for each in names.values() if len(each) != 1] == []


def test_every_public_callback_has_one_module_name() -> None:
    callbacks = importlib.import_module("kerasish.callbacks")
    for name in callbacks.__all__:
        cls = getattr(callbacks, name)
        assert cls.__module__ in MODULES
        assert getattr(sys.modules[cls.__module__], name) is cls


def test_callbacks_as_a_top_level_package_makes_no_second_classes() -> None:
    program = (
        "from kerasish.callbacks import EarlyStopping as one\n"
        "try:\n    from callbacks import EarlyStopping as other\n"
        "except ImportError:\n    pass\n"
        "else:\n    assert one is other, f'{one} is not {other}'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
