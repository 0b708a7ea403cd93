"""Plain values in a JSON file that anybody can read, and that comes back exactly."""

import json
import math
import os
from typing import Any, NoReturn

import torch
from torch import Tensor

from kerasish.saving import ModelFileError, pack, unpack, write_whole
from kerasish.saving.errors import FilePath, check_path
from kerasish.saving.header import DTYPES, NAMES

_VERSION = 1


def write_record(path: FilePath, kind: str, tree: Any) -> None:
    """Writes a tree of plain values and arrays, whole or not at all.

    Numbers come back exactly, nan and infinities too; arrays are lists with their shape and type.

    Raises: OSError naming the file; TypeError naming the place of what is neither plain nor array.

    Args:
        path: the file.
        kind: what it is, which reading asks for.
        tree: what `kerasish.saving.pack` takes.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "numbers.json")
        ...     write_record(path, "numbers", {"best": float("inf"), "all": [0.1, 2]})
        ...     read_record(path, "numbers")
        {'best': inf, 'all': [0.1, 2]}
    """
    content, tensors = pack(tree)
    arrays = {name: _listed(tensor) for name, tensor in tensors.items()}
    record = {"kind": kind, "version": _VERSION, "content": content, "arrays": arrays}
    write_whole(path, [json.dumps(record, allow_nan=False, indent=1).encode(), b"\n"])


def read_record(path: FilePath, kind: str) -> Any:
    """The tree in such a file.

    Raises: OSError if it cannot be read; ModelFileError for a file that `write_record` did not
        write, and for one of another kind.
    """
    name = check_path("read_record(path)", path, "history.json")
    with open(name, "rb") as file:
        raw = file.read()
    try:
        record = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(name, "its text", f"expects JSON; got {error}",
                             "Take a copy, or save it again.") from error
    found = record.get("kind") if isinstance(record, dict) else None
    if found != kind or record.get("version") != _VERSION:
        got = f"version {record.get('version')!r}" if found == kind else repr(found)
        raise ModelFileError(name, "its kind", f"expects {kind!r}, version {_VERSION}; got {got}",
                             f"Is {os.path.basename(name)!r} the file that you mean?")
    try:
        arrays = {key: _tensor(**held) for key, held in record["arrays"].items()}
        return unpack(record["content"], arrays)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(name, "its content", f"is damaged: {error!r}",
                             "Take a copy, or save it again.") from error


def _listed(tensor: Tensor) -> dict[str, Any]:
    values = [pack(value)[0] for value in tensor.flatten().tolist()]  # a list may become an array
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "values": values}


def _tensor(dtype: str, shape: list[int], values: list[Any]) -> Tensor:
    if len(values) != math.prod(shape):
        raise ValueError(f"{len(values)} values for the shape {shape}")
    return torch.tensor(unpack(values, {}), dtype=DTYPES[dtype]).reshape(shape)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text}, which JSON has not")
