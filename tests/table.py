"""The one table: every exported module and loss, what it is fed with, and its twin in torch.

A new module or loss gets its rows here, and every proof in `test_every_module.py`,
`test_every_loss.py` and `test_mutations.py` holds for it from then on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kerasish.containers import Sequential
from kerasish.layers import Dropout, Flatten, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from kerasish.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy, Loss
from kerasish.module import Module
from kerasish.types import Shape


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Starts torch's global generator at a seed inside the block, and leaves no trace of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers pushed 0.1 away from zero, where rectifiers have their kink."""
    x = torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return x + 0.1 * x.sign()


class Row(NamedTuple):
    """A module as it is proved."""

    id: str
    make: Callable[[], Module]
    shape: Shape
    """Of x, without the batch axis."""
    twin: Callable[[], nn.Module]
    random: bool = False
    """Whether it draws random numbers while training, the same ones as its twin."""

    def built(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> Module:
        """The module with the values that this seed gives it."""
        module = self.make()
        with seeded(seed):
            module.build(self.shape)
        return module.to(dtype=dtype)

    def x(self, batch: int = 4, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
        """A batch to feed it with."""
        return numbers(batch, *self.shape, seed=seed, dtype=dtype)

    def dy(self, batch: int = 4, seed: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
        """A gradient to go back with."""
        return numbers(batch, *self.make().build(self.shape), seed=seed, dtype=dtype)


def _tied() -> Sequential:
    shared = Linear(3)
    return Sequential(shared, Tanh(), shared, Tanh(), shared)


def _tied_twin() -> nn.Module:
    shared = nn.Linear(3, 3)
    return nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared)


def _tied_blocks() -> Sequential:
    block, squash = Sequential(Linear(3), LeakyReLU(0.3)), Tanh()
    return Sequential(block, squash, block, squash)


def _tied_blocks_twin() -> nn.Module:
    block, squash = nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.3)), nn.Tanh()
    return nn.Sequential(block, squash, block, squash)


MODULES = [
    Row("Linear", lambda: Linear(4), (3,), lambda: nn.Linear(3, 4)),
    Row("Linear with both sizes", lambda: Linear(3, 4), (3,), lambda: nn.Linear(3, 4)),
    Row("Linear without bias", lambda: Linear(4, bias=False), (3,),
        lambda: nn.Linear(3, 4, bias=False)),
    Row("Linear with both sizes and no bias", lambda: Linear(3, 4, False), (3,),
        lambda: nn.Linear(3, 4, False)),
    Row("Linear from one to one", lambda: Linear(1), (1,), lambda: nn.Linear(1, 1)),
    Row("Linear on sequences", lambda: Linear(4), (5, 3), lambda: nn.Linear(3, 4)),
    Row("Linear on images, without bias", lambda: Linear(2, bias=False), (2, 5, 3),
        lambda: nn.Linear(3, 2, bias=False)),
    Row("ReLU", ReLU, (5,), nn.ReLU),
    Row("ReLU on images", lambda: ReLU(inplace=True), (2, 3, 4), nn.ReLU),
    Row("LeakyReLU", LeakyReLU, (5,), nn.LeakyReLU),
    Row("LeakyReLU of slope 0", lambda: LeakyReLU(0.0), (5,), lambda: nn.LeakyReLU(0.0)),
    Row("LeakyReLU of slope 0.3", lambda: LeakyReLU(0.3), (2, 3, 4), lambda: nn.LeakyReLU(0.3)),
    Row("LeakyReLU of slope 1", lambda: LeakyReLU(1), (5,), lambda: nn.LeakyReLU(1)),
    Row("LeakyReLU of slope 2", lambda: LeakyReLU(negative_slope=2.0), (5,),
        lambda: nn.LeakyReLU(2.0)),
    Row("Tanh", Tanh, (5,), nn.Tanh),
    Row("Tanh on images", Tanh, (2, 3, 4), nn.Tanh),
    Row("Sigmoid", Sigmoid, (5,), nn.Sigmoid),
    Row("Sigmoid on images", Sigmoid, (2, 3, 4), nn.Sigmoid),
    Row("Flatten", Flatten, (2, 3, 4), nn.Flatten),
    Row("Flatten of one axis", Flatten, (5,), nn.Flatten),
    Row("Flatten from axis 2", lambda: Flatten(2), (2, 3, 4), lambda: nn.Flatten(2)),
    Row("Flatten axes 1 to 2", lambda: Flatten(1, 2), (2, 3, 4), lambda: nn.Flatten(1, 2)),
    Row("Flatten the last two axes", lambda: Flatten(start_dim=-2), (2, 3, 4),
        lambda: nn.Flatten(-2)),
    Row("Flatten axes -3 to -2", lambda: Flatten(-3, -2), (2, 3, 4), lambda: nn.Flatten(-3, -2)),
    Row("Dropout of nothing", lambda: Dropout(0), (5,), lambda: nn.Dropout(0)),
    Row("Dropout of 0.3", lambda: Dropout(0.3), (2, 3, 4), lambda: nn.Dropout(0.3), random=True),
    Row("Dropout of everything", lambda: Dropout(1), (5,), lambda: nn.Dropout(1), random=True),
    Row("Sequential of nothing", Sequential, (5,), nn.Sequential),
    Row("Sequential of one", lambda: Sequential(Linear(4)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4))),
    Row("Sequential with activations in place",
        lambda: Sequential(Linear(4), ReLU(), Linear(4), LeakyReLU(0.3), Linear(3), Tanh(),
                           Linear(2), Sigmoid()), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.LeakyReLU(0.3),
                              nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), nn.Sigmoid())),
    Row("Sequential of activations alone", lambda: Sequential([Tanh(), ReLU(), Sigmoid()]), (5,),
        lambda: nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid())),
    Row("Sequential in Sequential",
        lambda: Sequential(Sequential(Linear(4), Tanh()), Sequential(Sequential(Linear(3))),
                           LeakyReLU(0.3)), (3,),
        lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()),
                              nn.Sequential(nn.Sequential(nn.Linear(4, 3))), nn.LeakyReLU(0.3))),
    Row("Sequential with one Linear thrice", _tied, (3,), _tied_twin),
    Row("Sequential with one Sequential twice", _tied_blocks, (3,), _tied_blocks_twin),
    Row("Sequential with Flatten between",
        lambda: Sequential(Linear(4), Flatten(), Tanh(), Linear(2)), (2, 3),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.Tanh(), nn.Linear(8, 2))),
    Row("Sequential with Dropout between",
        lambda: Sequential(Linear(6), Dropout(0.3), Tanh(), Dropout(0), Linear(2)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.3), nn.Tanh(), nn.Dropout(0),
                              nn.Linear(6, 2)), random=True),
    Row("Sequential with a stem that trains nothing",
        lambda: Sequential(Flatten(), Sigmoid(), Linear(2), ReLU()), (2, 3),
        lambda: nn.Sequential(nn.Flatten(), nn.Sigmoid(), nn.Linear(6, 2), nn.ReLU())),
]


class LossRow(NamedTuple):
    """A loss as it is proved."""

    id: str
    make: Callable[[], Loss]
    batch: Callable[[int], tuple[Tensor, Tensor]]
    """y_pred and y_true for so many samples, in float64, away from kinks."""
    twin: Callable[[Tensor, Tensor], Tensor]
    """The values that the loss is the mean of, one an element or a distribution, from torch."""

    def weights(self, batch: int) -> Tensor:
        """A weight for each sample, among them a 0."""
        return torch.linspace(0, 2, batch, dtype=torch.float64)


def _targets(*shape: int) -> Tensor:
    """Numbers that lie 0.01 or more away from all `numbers` of a small batch."""
    return numbers(*shape, seed=1) / 9


def _shares(*shape: int, axis: int = 1) -> Tensor:
    """Probabilities that sum to 1 along an axis."""
    return numbers(*shape, seed=1).softmax(axis)


def _labels(*shape: int) -> Tensor:
    """Class indices 0 to 4."""
    return torch.randint(5, shape, generator=torch.Generator().manual_seed(1))


def _values(twin: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda y_pred, y_true: twin(y_pred, y_true.view_as(y_pred), reduction="none")


def _cross_entropy(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return F.cross_entropy(y_pred, y_true, reduction="none")


def _nll(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return F.nll_loss(y_pred.log(), y_true, reduction="none")


_bce, _bce_with_logits = F.binary_cross_entropy, F.binary_cross_entropy_with_logits

LOSSES = [
    LossRow("MSE", MSE, lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.mse_loss)),
    LossRow("MSE of images", MSE, lambda n: (numbers(n, 2, 3, 4), _targets(n, 2, 3, 4)),
            _values(F.mse_loss)),
    LossRow("MSE of (N,)", MSE, lambda n: (numbers(n), _targets(n)), _values(F.mse_loss)),
    LossRow("MSE of (N, 1) against (N,)", MSE, lambda n: (numbers(n, 1), _targets(n)),
            _values(F.mse_loss)),
    LossRow("MAE", MAE, lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.l1_loss)),
    LossRow("MAE of images", MAE, lambda n: (numbers(n, 2, 3, 4), _targets(n, 2, 3, 4)),
            _values(F.l1_loss)),
    LossRow("MAE of (N,) against (N, 1)", MAE, lambda n: (numbers(n), _targets(n, 1)),
            _values(F.l1_loss)),
    LossRow("BinaryCrossEntropy", BinaryCrossEntropy,
            lambda n: (numbers(n, 3), (_targets(n, 3) > 0).double()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of soft targets", BinaryCrossEntropy,
            lambda n: (numbers(n, 2, 3), _targets(n, 2, 3).sigmoid()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of (N, 1) against (N,)", BinaryCrossEntropy,
            lambda n: (numbers(n, 1), (_targets(n) > 0).double()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of probabilities", lambda: BinaryCrossEntropy(from_logits=False),
            lambda n: (numbers(n, 3).sigmoid(), (_targets(n, 3) > 0).double()), _values(_bce)),
    LossRow("BinaryCrossEntropy of probabilities, soft targets",
            lambda: BinaryCrossEntropy(from_logits=False),
            lambda n: (numbers(n, 2, 3).sigmoid(), _targets(n, 2, 3).sigmoid()), _values(_bce)),
    LossRow("CrossEntropy", CrossEntropy, lambda n: (numbers(n, 5), _labels(n)), _cross_entropy),
    LossRow("CrossEntropy of labels (N, 1)", CrossEntropy,
            lambda n: (numbers(n, 5), _labels(n, 1)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true.squeeze(1))),
    LossRow("CrossEntropy of images", CrossEntropy,
            lambda n: (numbers(n, 5, 2, 3), _labels(n, 2, 3)), _cross_entropy),
    LossRow("CrossEntropy of images, labels (N, 1, H, W)", CrossEntropy,
            lambda n: (numbers(n, 5, 2, 3), _labels(n, 1, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true.squeeze(1))),
    LossRow("CrossEntropy of the last axis", lambda: CrossEntropy(axis=-1),
            lambda n: (numbers(n, 2, 3, 5), _labels(n, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred.movedim(-1, 1), y_true)),
    LossRow("CrossEntropy against probabilities", CrossEntropy,
            lambda n: (numbers(n, 5), _shares(n, 5)), _cross_entropy),
    LossRow("CrossEntropy against probabilities on the last axis", lambda: CrossEntropy(axis=-1),
            lambda n: (numbers(n, 2, 5), _shares(n, 2, 5, axis=-1)),
            lambda y_pred, y_true: _cross_entropy(y_pred.mT, y_true.mT)),
    LossRow("CrossEntropy against targets that sum to 2", CrossEntropy,
            lambda n: (numbers(n, 5, 2), 2 * _shares(n, 5, 2)), _cross_entropy),
    LossRow("CrossEntropy of probabilities", lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5, 2).softmax(1), _labels(n, 2)), _nll),
    LossRow("CrossEntropy of probabilities against probabilities",
            lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5).softmax(1), _shares(n, 5)),
            lambda y_pred, y_true: -(y_true * y_pred.log()).sum(1)),
]
