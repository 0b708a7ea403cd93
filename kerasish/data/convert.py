"""Turns arrays, frames, tensors and nested lists into tensors, or says what is wrong with them."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.types import ArrayLike


def argument(who: str, name: str) -> str:
    """How an argument is called in errors; those of an argument that holds several follow it.

    Example:
        >>> argument("fit", "x"), argument("fit(validation_data)", "x")
        ('fit(x)', 'fit(validation_data: x)')
    """
    return f"{who[:-1]}: {name})" if who.endswith(")") else f"{who}({name})"


def as_tensor(who: str, value: ArrayLike) -> Tensor:
    """A tensor of the same numbers, sharing memory where torch can.

    Raises: TypeError or ValueError in the name of who asks, for no regular array of numbers.

    Example:
        >>> as_tensor("fit(x)", [[0.0, 1.0]])
        tensor([[0., 1.]], dtype=torch.float64)
    """
    tensor = _dense(who, value) if isinstance(value, Tensor) else _from_numpy(who, value)
    if tensor.dim() == 0:
        raise ValueError(f"{who} expects an array with the samples as axis 0; got the single "
                         f"number {tensor.item()!r}. Put it in a list.")
    if tensor.is_complex():
        raise TypeError(f"{who} expects real numbers; got {tensor.dtype}. "
                        "Split them into real and imaginary parts.")
    return tensor


def _dense(who: str, value: Tensor) -> Tensor:
    if value.layout != torch.strided:
        raise TypeError(f"{who} expects a dense tensor; got one of layout {value.layout}. Write "
                        "x.to_dense().")
    return value.detach()


def _from_numpy(who: str, value: ArrayLike) -> Tensor:
    if isinstance(value, list | tuple) and any(isinstance(row, Tensor) for row in value):
        value = [row.detach().cpu() if isinstance(row, Tensor) else row for row in value]
    try:
        array = np.asarray(_frame(who, value))
    except ValueError as error:
        raise ValueError(f"{who} expects rows of equal length; got {error}. Pad them, or leave the "
                         "odd ones out; several inputs or targets come in a tuple, and each batch "
                         "of a list in a tuple (x, y).") from None
    if np.ma.is_masked(value):
        masked = int(np.ma.getmaskarray(value).sum())
        raise ValueError(f"{who} expects numbers everywhere; got a masked array with {masked} of "
                         "them masked. Fill them in, or leave their rows out.")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{who} expects numbers; got {type(value).__name__} of {array.dtype}. "
                        "Encode them as numbers first.")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch shares memory with the others
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)  # nothing here writes into data


def _frame(who: str, value: Any) -> Any:
    """A frame or a series of pandas as an array of numbers; anything else as it is."""
    if not hasattr(value, "to_numpy"):
        return value
    array = value.to_numpy()
    if array.dtype.kind != "O":
        return array
    columns = list(value.items()) if array.ndim == 2 else [(value.name, value)]
    for name, column in columns:  # nullable types and mixed columns
        if not _is_numeric(column):
            raise TypeError(f"{who} expects columns of numbers; got {column.dtype} in the column "
                            f"{name!r}. Encode it as numbers first.")
    kinds = {column.dtype.kind for _, column in columns}
    if not kinds <= set("iub") or any(column.hasnans for _, column in columns):
        return value.astype("float64").to_numpy()
    return value.astype("bool" if kinds == {"b"} else "int64").to_numpy()


def _is_numeric(column: Any) -> bool:
    """Whether a series holds numbers alone; text that reads as one is none."""
    if column.dtype.kind in "mM" or any(isinstance(each, str) for each in column):
        return False
    try:
        column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return False
    return True


def is_mapped(value: Any) -> bool:
    """Whether an array lies in a file, or a structure has one that does."""
    if isinstance(value, dict):
        return any(map(is_mapped, value.values()))
    if isinstance(value, tuple):
        return any(map(is_mapped, value))
    while isinstance(value, np.ndarray):
        if isinstance(value, np.memmap):
            return True
        value = value.base
    return False


def as_tensors(who: str, value: Any) -> Any:
    """A tensor, or tensors in the structure of a tuple or dict of arrays; None stays None.

    A tuple of plain numbers and lists is one array, as a list is.

    Example:
        >>> as_tensors("fit(x)", {"a": [1], "b": [[0.5]]})
        {'a': tensor([1]), 'b': tensor([[0.5000]], dtype=torch.float64)}
    """
    if isinstance(value, dict):
        return {name: as_tensors(f"{who}[{name!r}]", part) for name, part in value.items()}
    if isinstance(value, tuple) and any(_is_array(part) for part in value):
        return tuple(as_tensors(f"{who}[{i}]", part) for i, part in enumerate(value))
    return None if value is None else as_tensor(who, value)


def _is_array(value: Any) -> bool:
    """Whether it is an array or a structure of them, and not a number or a list of numbers."""
    if isinstance(value, tuple):
        return any(_is_array(part) for part in value)
    return isinstance(value, dict) or getattr(value, "ndim", 0) > 0
