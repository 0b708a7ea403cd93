"""A batch of any size that has a shape and no numbers: made from examples, or from shapes alone."""

import copy
from typing import Any

import torch

from kerasish.data import Arrays
from kerasish.data.arrays import placed
from kerasish.losses import Loss
from kerasish.losses.classes import ClassLoss
from kerasish.losses.several import OutputLosses
from kerasish.trees import is_shape, mapped, mapped_shapes, parts_of, sample_shapes


class Samples:
    """What one sample is: the shapes and types of x, y and its weight.

    Raises: ValueError or TypeError in the name of `Model.plan` for examples that do not fit.

    Args:
        x, y, sample_weight: examples, as many as there are; only shapes and types are looked at.
            None is what follows from the model.
        input_shape: the shape of a sample, instead of x.
    """

    def __init__(self, x: Any, y: Any, sample_weight: Any, input_shape: Any) -> None:
        self.x = self.y = self.sample_weight = None
        self.shape = tuple(input_shape) if isinstance(input_shape, list) else input_shape
        if self.shape is not None and not _is_possible(self.shape):
            raise ValueError("plan(input_shape) expects the shape of a sample, or of each input in "
                             f"a tuple or dict; got {input_shape!r}. Write input_shape=(784,), "
                             "say, without the batch.")
        if x is not None:
            self.x, self.y, self.sample_weight = _seen(Arrays(x, y, sample_weight, "plan"))
            self.shape = sample_shapes(self.x)
        elif y is not None:
            self.y = _seen(Arrays(y, None, None, "plan"))[0]

    def batch(self, model: Any, size: int) -> Any:
        """So many of them for a weightless model that is built: (x, y, sample weights)."""
        dtype = model._dtype()
        if self.x is None:
            ones = mapped_shapes(lambda shape: torch.empty(1, *shape), self.shape)
            self.x = _taken(model, ones)
        if self.y is None and model.compiled:
            self.y = _targets(model.loss, model.module.build(self.shape))
        batch = placed("meta", dtype, (self.x, self.y, self.sample_weight))
        return mapped(lambda part: part.new_empty(size, *part.shape[1:]), batch)


def _is_possible(shapes: Any) -> bool:
    """Whether it is the shape of a tensor, or a tuple or dict of shapes."""
    if is_shape(shapes):
        return all(size >= 0 for size in shapes)
    return isinstance(shapes, tuple | dict) and all(map(_is_possible, parts_of(shapes)))


def _seen(arrays: Arrays) -> Any:
    """One example of each, without its numbers."""
    parts = (arrays.x, arrays.y, arrays.sample_weight)
    return mapped(lambda part: part[:1].to("meta"), parts)


def _taken(model: Any, x: Any) -> Any:
    """Numbers, or integers where the model takes nothing else: an Embedding, say."""
    whole = mapped(torch.Tensor.long, x)
    module = copy.deepcopy(model.module).eval()  # it binds no calls of the one to be watched
    for each in (placed("meta", model._dtype(), (x, None, None))[0], whole):
        try:
            with module.inference():
                module.forward(each)
        except Exception:  # what is wrong with both is said when the step is gone through
            continue
        return each
    return x


def _targets(loss: Loss, output: Any) -> Any:
    """Class indices where the loss is about classes, else numbers in the shape of the output."""
    if isinstance(loss, OutputLosses):
        wanted = {part.key: _targets(part.loss, output[part.key]) for part in loss.parts}
        return wanted if isinstance(output, dict) else tuple(
            wanted.get(key) for key in range(len(output)))
    if isinstance(loss, ClassLoss):
        shape = [1, *output]
        del shape[loss.axis]
        return torch.empty(shape, dtype=torch.int64)
    return mapped_shapes(lambda shape: torch.empty(1, *shape), output)
