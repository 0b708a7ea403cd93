"""The mistakes that a model is surest of, to look at."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.trees import is_shape
from kerasish.types import Shape

from .pictures import captioned, enlarged, grid, image_summary, padded, tile
from .validation import Answering, Answers, OfValidation

_LEAST_SIDE = 56
_FACTS = 3
"""Numbers in front of the pixels in a row: surprise, truth, answer."""


class Mistakes(OfValidation):
    """The n worst mistakes of each validation, as a grid of images, `mistakes` in `validation`.

    The worst is the one whose true class has the least probability: the largest cross entropy. It
    comes first, each with "truth -> answer" below; classes are counted from 0. Samples that are
    answered rightly are no mistakes, so there may be fewer than n, or none and no picture. For
    images (N, 1, H, W) and (N, 3, H, W) that have one class each; each is stretched from black to
    white. Of images of several sizes only those of the first one are looked at.

    The n worst stay on the device and are read once an epoch; batches are looked at together, some
    2^20 numbers at a time, which wait for it on the device.

    Args:
        number: n, at least 1.
    """

    setting: ClassVar[str] = "write_mistakes"
    wants_inputs: ClassVar[bool] = True
    _worst: Tensor | None
    _shape: Shape | None

    def __init__(self, number: int) -> None:
        self.number = number

    def why_not(self, answering: Answering) -> str | None:
        shape = self.model.module.input_shape
        if not (is_shape(shape) and len(shape) == 3 and shape[0] in (1, 3)):
            return f"its images are (N, 1, H, W) or (N, 3, H, W), and samples here are {shape}"
        if len(answering.shape) > 1 or not (answering.reading.by_loss or answering.classes == 1):
            return "a sample has several answers"
        return None

    def begin(self) -> None:
        self._worst, self._shape = None, None

    def take(self, answers: Answers, *x: Tensor) -> None:
        (images,) = x
        self._shape = self._shape or tuple(images.shape[1:])
        if self._shape != tuple(images.shape[1:]):
            return
        p, true, answer = _decided(answers)
        surprise = p.log().neg().nan_to_num(torch.inf)
        is_wrong = (true != answer) | p.isnan()
        if answers.counts is not None:
            is_wrong &= answers.counts
        surprise = surprise.masked_fill(~is_wrong, -1.0)
        top = surprise.topk(min(self.number, len(surprise))).indices
        facts = torch.stack((surprise[top], true[top], answer[top]), 1).float()
        rows = torch.cat((facts, images[top].flatten(1).float()), 1)
        if self._worst is not None:
            rows = torch.cat((self._worst, rows))
            rows = rows[rows[:, 0].topk(min(self.number, len(rows))).indices]
        self._worst = rows

    def show(self) -> None:
        assert self._worst is not None and self._shape is not None
        rows = self._worst.cpu()
        rows, self._worst = rows[rows[:, 0] >= 0], None
        images = rows[:, _FACTS:].reshape(-1, *self._shape).numpy()
        tiles = [captioned(enlarged(tile(image), _LEAST_SIDE), f"{true:.0f} -> {answer:.0f}")
                 for image, (_, true, answer) in zip(images, rows[:, :_FACTS].tolist(),
                                                     strict=True)]
        if tiles:
            self.write("validation", image_summary("mistakes", grid(padded(tiles))), self.epochs)


def _decided(answers: Answers) -> tuple[Tensor, Tensor, Tensor]:
    """For each sample the probability of its true class, that class, and the answer."""
    p, is_true = answers.p, answers.true
    if p.shape[1] == 1:
        p, is_true = torch.cat((1 - p, p), 1), torch.cat((~is_true, is_true), 1)
    true = is_true.long().argmax(1)
    return p.gather(1, true.unsqueeze(1)).squeeze(1), true, p.argmax(1)
