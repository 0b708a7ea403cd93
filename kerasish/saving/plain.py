"""Trees of plain values, arrays and tensors as strict JSON with the tensors beside it, and back.

What JSON has stands for itself. Anything else is an object with one key that begins with "$": the
type, with the value as text or as the name of the tensor that holds it. A long list of floats alone
or of whole numbers alone is one tensor: a history of many epochs takes 8 bytes a number.
"""

import math
import reprlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.saving.header import NAMES, RESERVED
from kerasish.saving.strict import is_text

DEPTH_LIMIT = 64
LONG = 32
IN_JSON = 2**63  # larger whole numbers are written in hexadecimal, which takes no time to read


def pack(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """Takes a tree apart into JSON and tensors, named by their places; `unpack` makes it again.

    A tree is None, a bool, a whole number, a float, text, bytes, a tensor, a numpy array or number,
    or a list, tuple or dict of trees. All come back exactly, with their types: nan with its bits,
    -0.0 with its sign. Tensors come back on the CPU.

    Raises: TypeError naming the place of anything else; ValueError for more than 64 levels.

    Example:
        >>> pack({"best": float("inf"), "weights": (torch.ones(2), None)})
        ({'best': {'$float': '7ff0000000000000'}, 'weights': {'$tuple': [{'$tensor': 'weights.0'}, \
None]}}, {'weights.0': tensor([1., 1.])})
    """
    packer = Packer()
    return packer.pack(tree, ()), packer.tensors


class Packer:
    """Walks over a tree, and gathers its tensors."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def pack(self, value: Any, place: tuple[str, ...]) -> Any:
        """The JSON for the value at this place of the tree."""
        if len(place) > DEPTH_LIMIT:
            raise ValueError(f"pack(tree) expects at most {DEPTH_LIMIT} levels; got more at "
                             f"{'.'.join(place[:4])!r}. Does it hold itself?")
        if value is None or type(value) is bool:
            return value
        if isinstance(value, Tensor):
            return self._pack_tensor(value, place)
        if isinstance(value, np.generic | np.ndarray):
            return self._pack_array(value, place)
        make = self.MAKERS.get(type(value))
        if make is None:
            raise self._refusal(value, place)
        return make(self, value, place)

    def _pack_int(self, value: int, place: tuple[str, ...]) -> Any:
        return value if abs(value) < IN_JSON else {"$int": hex(value)}

    def _pack_float(self, value: float, place: tuple[str, ...]) -> Any:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}

    def _pack_str(self, value: str, place: tuple[str, ...]) -> Any:
        return value if is_text(value) else {"$str": value.encode("utf-8", "surrogatepass").hex()}

    def _pack_bytes(self, value: bytes, place: tuple[str, ...]) -> Any:
        array = np.frombuffer(value, np.uint8).copy()
        return {"$bytes": self._keep(torch.from_numpy(array), place)}

    def _pack_list(self, value: list[Any], place: tuple[str, ...]) -> Any:
        if len(value) >= LONG:
            kinds = set(map(type, value))
            if kinds == {float}:
                return {"$floats": self._keep(torch.from_numpy(np.array(value, np.float64)), place)}
            if kinds == {int} and -IN_JSON <= min(value) and max(value) < IN_JSON:
                return {"$ints": self._keep(torch.from_numpy(np.array(value, np.int64)), place)}
        return self._pack_parts(value, place)

    def _pack_parts(self, value: Sequence[Any], place: tuple[str, ...]) -> list[Any]:
        return [self.pack(part, (*place, str(index))) for index, part in enumerate(value)]

    def _pack_tuple(self, value: tuple[Any, ...], place: tuple[str, ...]) -> Any:
        return {"$tuple": self._pack_parts(value, place)}

    def _pack_dict(self, value: dict[Any, Any], place: tuple[str, ...]) -> Any:
        for key in value:
            if type(key) not in (str, int):
                raise self._refusal(key, (*place, "its keys"))
        parts = [(key, self.pack(part, (*place, str(key)))) for key, part in value.items()]
        if all(type(key) is str and is_text(key) and key[:1] != "$" for key in value):
            return dict(parts)
        return {"$dict": [[self.pack(key, ()), part] for key, part in parts]}

    def _pack_tensor(self, value: Tensor, place: tuple[str, ...]) -> Any:
        if value.dtype not in NAMES or value.layout != torch.strided or value.is_meta:
            raise self._refusal(value, place)
        return {"$tensor": self._keep(value.detach(), place)}

    def _pack_array(self, value: Any, place: tuple[str, ...]) -> Any:
        kind = "$number" if isinstance(value, np.generic) else "$array"
        try:
            tensor = torch.from_numpy(np.array(value, order="C"))  # memory of its own
        except (TypeError, ValueError):
            tensor = None
        plain = type(value) is np.ndarray or kind == "$number"
        if tensor is None or tensor.dtype not in NAMES or not plain:
            raise self._refusal(value, place)
        return {kind: self._keep(tensor, place)}

    def _keep(self, tensor: Tensor, place: tuple[str, ...]) -> str:
        """Keeps a tensor under a name of its own, and returns it."""
        path = ".".join(place)[:200].encode("utf-8", "replace").decode() or "value"
        name, count = path, 1
        while name in self.tensors or name == RESERVED:
            name, count = f"{path}~{count}", count + 1
        self.tensors[name] = tensor
        return name

    def _refusal(self, value: Any, place: tuple[str, ...]) -> TypeError:
        kind = type(value).__name__
        if isinstance(value, np.generic | np.ndarray | Tensor):
            kind += f" of {value.dtype}"
        return TypeError(
            f"pack(tree) expects None, bool, int, float, str, bytes, lists, tuples, dicts with "
            f"str or int keys, arrays and tensors; got {kind} at {'.'.join(place)!r}. Convert it."
        )

    MAKERS: Mapping[type, Callable[..., Any]] = {
        int: _pack_int, float: _pack_float, str: _pack_str, bytes: _pack_bytes, list: _pack_list,
        tuple: _pack_tuple, dict: _pack_dict}


class Used(Mapping[str, Tensor]):
    """Tensors by name, each to be asked for once: which were, and no second time.

    Whatever is copied out of them then takes no more memory than a few times the file.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors, self.names = tensors, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        if name in self.names:
            raise KeyError(name)
        tensor = self.tensors[name]
        self.names.add(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def unused(self, begins: str = "") -> list[str]:
        """The names that nobody asked for, of those that begin so."""
        return [name for name in self.tensors if name.startswith(begins) and name not in self.names]


def unpack(json_tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Makes the tree that `pack` took apart.

    Raises: ValueError for what `pack` does not make, and for tensors too few or too many.

    Example:
        >>> unpack(*pack({"best": float("-inf"), "steps": (1, 2)}))
        {'best': -inf, 'steps': (1, 2)}
    """
    used = Used(tensors)
    tree = unpack_part(json_tree, used)
    if odd := used.unused():
        raise ValueError(f"unpack(tensors) expects those that the tree has; got {odd[0]!r} "
                         "besides. Make both with pack.")
    return tree


def unpack_part(
    json_tree: Any, tensors: Mapping[str, Tensor], more: Mapping[str, Callable[..., Any]] = {}
) -> Any:
    """Makes a part of a tree; `more` reads further keys that begin with "$".

    Raises: ValueError for what `pack` does not make, and for tensors that are missing.
    """
    levels = 3 * DEPTH_LIMIT  # a dict with whole numbers as keys takes 3
    return _unpack(json_tree, tensors, {**LEAVES, **more}, levels)


def _unpack(
    value: Any, tensors: Mapping[str, Tensor], leaves: Mapping[str, Callable[..., Any]], levels: int
) -> Any:
    if levels < 0:
        raise _malformed(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_unpack(part, tensors, leaves, levels - 1) for part in value]
    if type(value) is not dict or not all(type(key) is str for key in value):
        raise _malformed(value)
    if not any(key.startswith("$") for key in value):
        return {key: _unpack(part, tensors, leaves, levels - 1) for key, part in value.items()}
    ((key, held),) = value.items() if len(value) == 1 else [("", None)]
    try:
        if key in CONTAINERS:
            return CONTAINERS[key](
                [_unpack(part, tensors, leaves, levels - 2) for part in _list(held)])
        return leaves[key](held, tensors)
    except (LookupError, TypeError, ValueError, struct.error):
        raise _malformed(value) from None


def _malformed(value: Any) -> ValueError:
    return ValueError(f"unpack(json_tree) expects what pack makes, with its tensors; got "
                      f"{reprlib.repr(value)}. Make it with pack.")


def _list(held: Any) -> list[Any]:
    if type(held) is not list:
        raise TypeError
    return held


def _dict(pairs: list[Any]) -> dict[Any, Any]:
    made = dict(map(_list, pairs))
    if len(made) < len(pairs) or not all(type(key) in (str, int) for key in made):
        raise TypeError
    return made


def _number(name: Any, tensors: Mapping[str, Tensor]) -> Any:
    tensor = tensors[name]
    if tensor.dim():
        raise TypeError
    return tensor.numpy()[()]


def _line(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.dtype != dtype or tensor.dim() != 1:
        raise TypeError
    return tensor


CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {"$tuple": tuple, "$dict": _dict}
LEAVES: dict[str, Callable[[Any, Mapping[str, Tensor]], Any]] = {
    "$int": lambda text, _: int(text, 16),
    "$float": lambda text, _: struct.unpack(">d", bytes.fromhex(text))[0],
    "$str": lambda text, _: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "$tensor": lambda name, tensors: tensors[name],
    "$array": lambda name, tensors: tensors[name].numpy(), "$number": _number,
    "$bytes": lambda name, tensors: bytes(_line(tensors[name], torch.uint8).numpy()),
    "$floats": lambda name, tensors: _line(tensors[name], torch.float64).tolist(),
    "$ints": lambda name, tensors: _line(tensors[name], torch.int64).tolist(),
}  # fmt: skip
