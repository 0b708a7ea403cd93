"""Stands in for a module that cannot be run without numbers: what it declares, believed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from kerasish.module import Module
from kerasish.trees import batch_size, leaves, mapped_shapes, sample_shapes

_MARK = "stands in"


def stands_in(module: Module) -> None:
    """Lets a module do what it declares where it asks for a number, which there is not.

    Its forward then gives y in the shape that `build` says, and keeps x, y and `own_bytes` as
    declared: of a module that declares nothing, x and y. Its backward gives dx in the shape of x.
    """
    if next(module.children(), None) is not None:
        return
    run, run_back = module.forward, module.backward

    @wraps(run)
    def forward(x: Any, *more: Any, **granted: Any) -> Any:
        height = len(module._saved)
        with numbers_missed():
            return run(x, *more, **granted)
        del module._saved[height:]
        return _forward(module, x)

    @wraps(run_back)
    def backward(dy: Any, *more: Any, **granted: Any) -> Any:
        height = len(module._saved)
        if module._saved and module._saved[-1][:1] != (_MARK,):
            with numbers_missed():
                return run_back(dy, *more, **granted)
        del module._saved[height - 1 :]
        return _empty(module.input_shape, dy)

    vars(module).update(forward=forward, backward=backward)


def _forward(module: Module, x: Any) -> Any:
    y = _empty(module.build(sample_shapes(x)), x)
    kept = [tensor for name, tensor in (("input", x), ("output", y))
            if name in module.backward_reads]
    own = torch.empty(batch_size(x) * module.own_bytes(sample_shapes(x)), dtype=torch.uint8)
    module.save_for_backward(_MARK, *kept, own)
    return y


def _empty(shape: Any, like: Any) -> Any:
    """A batch of samples of this shape, or of these, as large as another batch."""
    first = next(leaves(like))
    kind = first.dtype if first.is_floating_point() else torch.get_default_dtype()
    return mapped_shapes(lambda each: first.new_empty(len(first), *each, dtype=kind), shape)


@contextmanager
def numbers_missed() -> Iterator[None]:
    """Passes over errors of tensors that were asked for numbers and have none."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if not asks_for_numbers(error):
            raise


def asks_for_numbers(error: Exception) -> bool:
    """Whether this is what torch says of a tensor without numbers that is asked for one."""
    return "meta" in str(error).lower()
