"""Modules, losses, optimizers and so on as plain tables in a file, and back by name alone.

Each object is one row, its class's name and its settings, and comes after the rows that it needs;
so what is used at several places is one row, there are no circles, and reading is a plain loop.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kerasish.configured import Configured
from kerasish.containers import Graph, Sequential
from kerasish.differentiable import kind_of
from kerasish.module import Module
from kerasish.node import Node
from kerasish.registry import nearest
from kerasish.saving.errors import ModelFileError
from kerasish.saving.extent import Extent
from kerasish.saving.known import NAMES, UNSAVED, check_slot, name_in_file, with_custom
from kerasish.saving.plain import Packer, Used, unpack_part
from kerasish.saving.settings import changed_settings, made_from, present_config
from kerasish.trees import is_shape, leaves, mapped_shapes

DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values()
          if isinstance(value, torch.dtype)}
TEXT_LIMIT = 1000
AGAIN = "Save the model again, or take a file whose origin you know."


# ---- writing ------------------------------------------------------------------------------------


def encode(tree: Any, family: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Plain values, and among them modules, losses, metrics, optimizers, schedules and so on.

    Returns: JSON, and the tensors among the settings as "config:<family>.0" and so on.
    Raises: TypeError for functions and other objects, naming the place and what to write instead;
        ValueError for two classes of one name, and for nets too large to be read again.
    """
    encoder = _Encoder(family)
    packed = encoder.pack(tree, ())
    return {"objects": encoder.rows, "tree": packed}, encoder.tensors


class _Encoder(Packer):
    """A packer that keeps a table of the objects that it meets."""

    def __init__(self, family: str) -> None:
        super().__init__()
        self.family, self.rows = family, list[dict[str, Any]]()
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # ids stay theirs as long as these live
        self._classes: dict[str, type] = {}
        self._extent = Extent()

    def pack(self, value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, Configured | Node):
            return {"$object": self._place(value, place)}
        if isinstance(value, torch.dtype):
            return {"$dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return None
        return super().pack(tuple(value) if isinstance(value, torch.Size) else value, place)

    def _place(self, value: Any, place: tuple[str, ...]) -> int:
        if id(value) not in self._places:
            kind = kind_of(value)
            name = name_in_file(kind)
            if self._classes.setdefault(name, kind) is not kind:
                raise ValueError(f"Model.save expects one class of each name; got two called "
                                 f"{type(value).__name__!r}. Rename one.")
            if isinstance(value, Graph):
                for node in value._nodes:  # in order, however deep the graph
                    self.pack(node, (*place[-1:], "node"))
            settings = _config(value)
            self._extent.grant(settings, _flat(settings))
            config = {key: self.pack(part, (*place[-3:], type(value).__name__, key))
                      for key, part in settings.items()}
            if kind in UNSAVED:
                raise self._refusal(value, place)
            if isinstance(value, Module):
                self._check_inner(value, type(value).__name__)
            self._extent.add(value)
            self._places[id(value)] = len(self.rows)
            self._kept.append(value)
            self.rows.append({"class": name, "config": config})
        return self._places[id(value)]

    def _check_inner(self, module: Module, where: str) -> None:
        """Refuses settings of parts that a module makes by itself, if they were set later."""
        for name, part in module.named_children():
            if id(part) not in self._places:
                inner = f"{where}.{name}"
                if kind_of(part) in NAMES and (changed := changed_settings(part)):
                    raise ValueError(f"Model.save expects settings that a file can hold; got "
                                     f"{inner}.{min(changed)}, set on a part that {where} makes by "
                                     "itself. Make the whole with it.")
                self._check_inner(part, inner)

    def _keep(self, tensor: Tensor, place: tuple[str, ...]) -> str:
        name = f"config:{self.family}.{len(self.tensors)}"
        self.tensors[name] = tensor
        return name

    def _refusal(self, value: Any, place: tuple[str, ...]) -> TypeError:
        where = ".".join(place) or self.family
        if callable(value):
            return TypeError(
                f"Model.save expects objects that a file can hold; got the function {value!r} at "
                f"{where!r}, and files hold no code. Write it as a class, a Module, Metric or "
                "Schedule of your own, and load with Model.load(path, custom=(ThatClass,)).")
        return TypeError(f"Model.save expects settings that a file can hold: numbers, texts, "
                         f"lists, tuples, dicts, arrays, tensors and objects of kerasish; got "
                         f"{type(value).__name__} at {where!r}. Convert it.")


def _config(value: Any) -> dict[str, Any]:
    if isinstance(value, Node):
        return {"module": value.module, "inputs": value.inputs, "shape": value.shape}
    if kind_of(value) is Sequential:
        return {"layers": value.layers}  # more may have been appended
    return present_config(value)


# ---- reading ------------------------------------------------------------------------------------


def decode(
    path: str, entry: str, stored: Any, tensors: Mapping[str, Tensor], custom: Iterable[type] = (),
) -> Any:
    """Makes again what `encode` took apart; nothing but the known and the custom classes is made.

    Raises: ModelFileError naming the row for everything else; as `with_custom`.

    Args:
        path: the file, for errors.
        entry: which part of it this is.
        stored: the JSON.
        tensors: those among the settings.
        custom: classes of the caller's own.
    """
    known, extent, used = with_custom(custom), Extent(), Used(tensors)
    if not isinstance(stored, dict) or stored.keys() != {"objects", "tree"} or (
            not isinstance(stored["objects"], list)):
        raise ModelFileError(path, f"the {entry}", "expects a table of objects", AGAIN)
    made: list[Any] = []
    for number, row in enumerate(stored["objects"]):
        where = f"object {number} of the {entry}"
        cls = _class(path, where, row, known)
        with refused(path, f"{where}, {row['class']},"):
            made.append(_make(row["class"], cls, row["config"], used, made, extent))
    with refused(path, f"the {entry}"):
        tree = _values(stored["tree"], used, made)
    if odd := used.unused(f"config:{entry}."):
        raise ModelFileError(path, f"tensor {odd[0]!r}", f"is among the settings of the {entry}, "
                             "which do not use it", AGAIN)
    return tree


def _class(path: str, where: str, row: Any, known: Mapping[str, type]) -> type:
    if not isinstance(row, dict) or row.keys() != {"class", "config"} or not (
            isinstance(row["config"], dict) and isinstance(row["class"], str)):
        raise ModelFileError(path, where, "expects a class and its settings", AGAIN)
    name = row["class"]
    if name not in known:
        own = name.removeprefix("custom.")[:80]
        fix = (f"Give your class: Model.load(path, custom=({own},))." if name[:7] == "custom."
               else f"{nearest(name[:80], known)} A class of your own is given as custom=(...).")
        raise ModelFileError(path, where, f"expects a class that is known; got {name[:80]!r}", fix)
    return known[name]


def _make(
    name: str, cls: type, packed: dict[str, Any], tensors: Mapping[str, Tensor], made: list[Any],
    extent: Extent,
) -> Any:
    config = {key: _values(part, tensors, made) for key, part in packed.items()}
    parts = [part for part in _flat(config) if isinstance(part, Configured | Node)]
    check_slot(name, cls, parts)
    extent.grant(config, parts)
    value = _node(**config) if cls is Node else made_from(cls, config)
    extent.add(value, parts)
    return value


def _node(module: Any, inputs: Any, shape: Any) -> Node:
    if module is None and inputs == () and is_shape(shape):
        return Node(None, (), shape)
    parts = list(leaves(inputs))
    if not isinstance(module, Module) or not parts or not all(
            isinstance(part, Node) for part in parts):
        raise TypeError("expects a module that is called on nodes")
    mapped_shapes(len, shape)  # refuses what is no shape
    return Node(module, inputs, shape)


def _values(packed: Any, tensors: Mapping[str, Tensor], made: list[Any]) -> Any:
    def take(number: Any, _: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(made):
            raise LookupError
        return made[number]

    value = unpack_part(packed, tensors, {"$object": take, "$dtype": lambda name, _: DTYPES[name]})
    for part in _flat(value):
        if isinstance(part, str) and len(part) > TEXT_LIMIT:
            raise ValueError(f"expects texts of at most {TEXT_LIMIT:,} characters; got "
                             f"{len(part):,}")
    return value


def _flat(tree: Any) -> Iterator[Any]:
    """All parts that are no list, tuple or dict, keys of dicts included."""
    if isinstance(tree, dict):
        yield from tree
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        yield tree
        return
    for part in tree:
        yield from _flat(part)


@contextmanager
def refused(path: str, entry: str) -> Iterator[None]:
    """Says of whatever goes wrong inside the block which entry of which file asked for it."""
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:
        reason = f"is refused: {str(error)[:600] or type(error).__name__}".rstrip(".")
        raise ModelFileError(path, entry, reason, AGAIN) from error
