"""Which source of batches is meant by what a method was given."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from kerasish.checks import check_count
from kerasish.data.arrays import Arrays
from kerasish.data.convert import argument
from kerasish.data.loaders import LoaderSource, loader_of
from kerasish.data.passes import Sequence
from kerasish.data.sources import ArraySource, Source
from kerasish.data.streams import StreamSource


def source_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    who: str,
    batch_size: int | None = None,
    seed: int = 0,
    shuffle: bool = False,
) -> Source:
    """The batches of arrays, a Dataset, a DataLoader, an iterable, a function or an iterator.

    Raises: ValueError or TypeError in the name of who asks.

    Example:
        >>> source_of([[0.0], [1.0], [2.0]], who="predict", batch_size=2).batches
        2
    """
    size = check_batch_size(argument(who, "batch_size"), batch_size)
    if is_arrays(x):
        return ArraySource(Arrays(x, y, sample_weight, who), size, seed, shuffle, who)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{argument(who, name)} expects to be left out where x brings "
                             f"batches; got x of {type(x).__name__}. Put it into the batches: (x, "
                             "y, weights).")
    if type(x) is TensorDataset and 1 <= len(x.tensors) <= 3:  # cut far faster than item by item
        inputs, targets, weights, *_ = (*x.tensors, None, None)
        return ArraySource(Arrays(inputs, targets, weights, who), size, seed, shuffle, who)
    if isinstance(x, Dataset):
        return LoaderSource(loader_of(x, size, shuffle), seed, who)
    if batch_size is not None:
        raise ValueError(f"{argument(who, 'batch_size')} expects to be left out where x brings "
                         f"batches; got {batch_size!r} with x of {type(x).__name__}. Set it there.")
    if isinstance(x, DataLoader):
        return LoaderSource(x, seed, who)
    return _stream(x, who)


def check_batch_size(who: str, value: int | None) -> int:
    """Hands a batch size back if it is one; None is Keras' 32."""
    return check_count(who, 32 if value is None else value, 1, "32 is a usual batch size.")


def _stream(x: Any, who: str) -> StreamSource:
    if isinstance(x, type):
        raise TypeError(f"{argument(who, 'x')} expects samples, or what brings batches of them; "
                        f"got {x!r}. Give it an array, for instance.")
    has_numbers = hasattr(x, "__getitem__") and hasattr(x, "__len__")
    if has_numbers and (hasattr(x, "on_epoch_end") or not isinstance(x, Iterable)):
        return StreamSource(Sequence(x), who, len(x))
    if callable(x) or isinstance(x, Iterable):
        return StreamSource(x, who, len(x) if isinstance(x, list) else None)
    raise TypeError(f"{argument(who, 'x')} expects samples, or what brings batches of them; got "
                    f"{type(x).__name__}. Give it an array, for instance.")


def is_arrays(x: Any) -> bool:
    """Whether these are the samples themselves."""
    if isinstance(x, list) and x and all(_is_batch(each) for each in x):
        return False
    return (x is None or isinstance(x, Tensor | list | tuple | dict | int | float | complex | str)
            or hasattr(x, "__array__") or hasattr(x, "ndim"))


def _is_batch(item: Any) -> bool:
    """Whether an item of a list is a batch (x, y) rather than a row of numbers."""
    return isinstance(item, tuple) and 1 <= len(item) <= 3 and all(
        getattr(part, "ndim", 0) > 0 or isinstance(part, dict | tuple | None) for part in item)
