"""One tensor, or a tuple or dict of them: what modules with several inputs or outputs pass on."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor


def leaves(tree: Any) -> Iterator[Any]:
    """What the tuples, lists and dicts hold, in order; None holds nothing.

    Example:
        >>> list(leaves({"a": 1, "b": (2, None)}))
        [1, 2]
    """
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, list | tuple):
        for part in tree:
            yield from leaves(part)
    elif tree is not None:
        yield tree


def mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with each leaf changed.

    Example:
        >>> mapped(abs, {"a": -1, "b": (-2, None)})
        {'a': 1, 'b': (2, None)}
    """
    if isinstance(tree, dict):
        return {name: mapped(change, part) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        return tuple(mapped(change, part) for part in tree)
    return None if tree is None else change(tree)


def filled(like: Any, values: Iterable[Any]) -> Any:
    """Values in the structure of another tree, in the order of its leaves.

    Example:
        >>> filled({"a": 1, "b": (2, None)}, [3, 4])
        {'a': 3, 'b': (4, None)}
    """
    rest = iter(values)
    return mapped(lambda _: next(rest), like)


def parts_of(tree: Any) -> list[Any]:
    """What a tuple, a list or a dict holds, in order, whatever that is.

    Example:
        >>> parts_of({"a": (2, 3), "b": None})
        [(2, 3), None]
    """
    return list(tree.values() if isinstance(tree, dict) else tree)


def arranged(like: Any, parts: Iterable[Any]) -> Any:
    """Parts, whatever they are, by the keys of another dict, or in a tuple; reverses `parts_of`.

    Example:
        >>> arranged({"a": 1, "b": 2}, [(2, 3), None])
        {'a': (2, 3), 'b': None}
    """
    return dict(zip(like, parts, strict=True)) if isinstance(like, dict) else tuple(parts)


def shape_of(tree: Any) -> Any:
    """The shape of a tensor, or those of several in the same structure, with the batch axis.

    Example:
        >>> shape_of((torch.ones(2, 3), torch.ones(2)))
        ((2, 3), (2,))
    """
    if isinstance(tree, Tensor):
        return tree.shape
    return mapped(lambda tensor: tuple(tensor.shape), tree)


def is_shape(tree: Any) -> bool:
    """Whether it is the shape of one tensor, and not a tuple or dict of shapes."""
    return isinstance(tree, tuple) and all(isinstance(size, int) for size in tree)


def mapped_shapes(change: Callable[[Any], Any], shapes: Any) -> Any:
    """The same structure with each shape changed.

    Example:
        >>> mapped_shapes(len, {"a": (2, 3), "b": ()})
        {'a': 2, 'b': 0}
    """
    if isinstance(shapes, dict):
        return {name: mapped_shapes(change, part) for name, part in shapes.items()}
    if is_shape(shapes):
        return change(shapes)
    return tuple(mapped_shapes(change, part) for part in shapes)


def fits(gradient: Any, shape: Any) -> bool:
    """Whether a gradient has these shapes; None in it is no gradient, and fits.

    Example:
        >>> fits((torch.ones(2, 3), None), ((2, 3), (2,)))
        True
    """
    if gradient is None:
        return True
    if isinstance(gradient, Tensor):
        return bool(gradient.shape == shape)
    if isinstance(gradient, dict):
        return isinstance(shape, dict) and gradient.keys() == shape.keys() and all(
            fits(part, shape[name]) for name, part in gradient.items())
    return isinstance(shape, tuple) and len(gradient) == len(shape) and all(
        fits(part, each) for part, each in zip(gradient, shape, strict=True))


def sample_shapes(tree: Any) -> Any:
    """The shapes that `build` takes: without the batch axis, in the same structure.

    Example:
        >>> sample_shapes(torch.ones(2, 3))
        (3,)
    """
    return mapped(lambda tensor: tuple(tensor.shape[1:]), tree)


def batch_size(tree: Any) -> int:
    """The number of samples in the first tensor."""
    return int(next(leaves(tree)).shape[0])


def summed(first: Any, second: Any) -> Any:
    """The sum of two gradients of the same structure, where None is no gradient.

    Example:
        >>> summed((torch.tensor(1.0), None), (torch.tensor(2.0), None))
        (tensor(3.), None)
    """
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, dict):
        return {name: summed(part, second[name]) for name, part in first.items()}
    if isinstance(first, Tensor):
        return torch.add(first, second)
    return tuple(summed(*pair) for pair in zip(first, second, strict=True))
