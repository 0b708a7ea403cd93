"""Small trainings of every kind, and all that is left of one as a digest."""

import hashlib
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import Tensor
from torch.utils import tensorboard  # noqa: F401 (here it is loaded once, for all children)
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

from kerasish import Model, set_seed
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TensorBoard,
    Timing,
)
from kerasish.layers import BatchNorm1d, Dropout, Linear, Tanh
from kerasish.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from kerasish.schedules import CosineDecay

SAMPLES, HELD_BACK, BATCH, EPOCHS, PER_EPOCH = 75, 15, 8, 4, 8


def data() -> tuple[Tensor, Tensor]:
    """Points of a plane, in two classes."""
    x = torch.linspace(-1, 1, 2 * SAMPLES).view(SAMPLES, 2).mul(9).sin()
    return x, (x[:, :1] * x[:, 1:] > 0.3).float()


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Augments from each of the global generators."""

    def __init__(self, samples: int = SAMPLES) -> None:
        self.x, self.y = (part[:samples] for part in data())

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(2) + np.random.randn() + random.random()
        return self.x[i] + 0.01 * noise, self.y[i]


# ---- what is combined ---------------------------------------------------------------------------

OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], float]] = {
    "momentum": (partial(SGD, momentum=0.9), 0.05),
    "Adam": (Adam, 0.02),
    "AdamW": (partial(AdamW, use_ema=True, ema_momentum=0.9), 0.02),
    "RMSprop": (partial(RMSprop, momentum=0.5, centered=True), 0.01),
}
LAYERS: dict[str, Callable[[], list[Any]]] = {
    "plain": lambda: [Linear(8), Tanh()],
    "dropout": lambda: [Linear(8), Tanh(), Dropout(0.3)],
    "batch norm": lambda: [Linear(8), BatchNorm1d(), Tanh()],
    "accumulation": lambda: [Linear(8), Tanh()],
}
SAVES: dict[str, Any] = {"by epoch": "epoch", "by batch": 3}
BY_CLASS = {"class_weight": {0: 1.0, 1: 3.0}, "steps_per_epoch": PER_EPOCH}
SOURCES: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": lambda: dict(zip("xy", data(), strict=True))
    | {"batch_size": BATCH, "validation_split": HELD_BACK / SAMPLES},
    "arrays by class": lambda: dict(zip("xy", data(), strict=True))
    | {"batch_size": BATCH, "validation_data": data(), **BY_CLASS},
    "loader": lambda: {
        "x": DataLoader(Noisy(SAMPLES - HELD_BACK), BATCH, shuffle=True),
        "validation_data": data()},
    "loader by class": lambda: {
        "x": DataLoader(TensorDataset(*data()), BATCH, sampler=RandomSampler(range(SAMPLES))),
        "validation_data": DataLoader(Noisy(), BATCH), **BY_CLASS},
}  # fmt: skip
RATES: dict[str, Callable[[], list[Callback]]] = {
    "plateau": lambda: [ReduceLROnPlateau("loss", factor=0.7, patience=1, min_delta=0.01)],
    "plateau with cooldown": lambda: [
        ReduceLROnPlateau(factor=0.5, patience=1, min_delta=0.5, cooldown=1)],
    "by epoch": lambda: [LearningRateScheduler(lambda epoch, rate: rate * 0.8)],
    "by update": lambda: [],
}  # fmt: skip
FILES: dict[str, Callable[[Path], list[Callback]]] = {
    "rows": lambda folder: [CSVLogger(folder / "log.csv"), Timing()],
    "added rows": lambda folder: [CSVLogger(folder / "log.csv", append=True)],
    "events": lambda folder: [TensorBoard(folder, update_freq=3)],
    "models": lambda folder: [
        ModelCheckpoint(folder / "best.safetensors", save_best_only=True),
        ModelCheckpoint(folder / "{epoch}-{batch}.safetensors", save_freq=5, keep_last=2,
                        save_weights_only=True)],
}  # fmt: skip


class Kind(NamedTuple):
    """One kind of training, by the names above."""

    optimizer: str
    layers: str
    saves: str
    source: str
    rate: str
    files: str


def kinds() -> Iterator[Kind]:
    """Each optimizer with all layers and saves, and the rest so that any two settings meet."""
    squares = ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))
    for i, optimizer in enumerate(OPTIMIZERS):
        for j, layers in enumerate(LAYERS):
            for saves in SAVES:
                rest = [list(table)[i ^ square[j]] for table, square in
                        zip((SOURCES, RATES, FILES), squares, strict=True)]
                yield Kind(optimizer, layers, saves, *rest)


KINDS = list(kinds())


def kind_of(*names: str) -> Kind:
    """The first kind that has all these names."""
    return next(kind for kind in KINDS if set(names) <= set(kind))


# ---- one training -------------------------------------------------------------------------------


def compiled(kind: Kind) -> Model:
    make, rate = OPTIMIZERS[kind.optimizer]
    decays = {"learning_rate": CosineDecay(rate, EPOCHS * PER_EPOCH, alpha=0.1)}
    settings: dict[str, Any] = decays if kind.rate == "by update" else {"learning_rate": rate}
    if kind.layers == "accumulation":
        settings["gradient_accumulation_steps"] = 3
    model = Model(*LAYERS[kind.layers](), Linear(1), device="cpu")
    model.compile(make(**settings), loss="mse", metrics=["mae", "r2_score"])
    return model


def callbacks_of(kind: Kind, folder: Path) -> list[Callback]:
    """The backup is the first of them or the last: it must not matter."""
    by_epoch = kind.saves == "by epoch"
    averages = [SwapEMAWeights(swap_on_epoch=by_epoch)] if kind.optimizer == "AdamW" else []
    backup = [BackupAndRestore(folder / "backup", SAVES[kind.saves])]
    others = [EarlyStopping(patience=50, restore_best_weights=True), *RATES[kind.rate](),
              *averages, *FILES[kind.files](folder / "files")]
    return [*backup, *others] if by_epoch else [*others, *backup]


def train(kind: Kind, folder: Path, more: Iterable[Callback] = ()) -> Model:
    """As a script would, the same each time it is started."""
    set_seed(0)
    ended = folder / "ended"
    if ended.exists() and not any((folder / "backup").iterdir()):
        shutil.rmtree(folder / "files", ignore_errors=True)  # a new run is asked for
        ended.unlink()
    model, callbacks = compiled(kind), callbacks_of(kind, folder)
    marks = LambdaCallback(on_train_end=lambda logs: ended.touch())
    model.fit(**SOURCES[kind.source](), epochs=EPOCHS, seed=5, verbose=0,
              callbacks=[*callbacks, marks, *more])
    model.callbacks = callbacks  # to look at their states
    return model


# ---- what is left of it -------------------------------------------------------------------------


def digest(model: Model, folder: Path) -> str:
    """Weights, buffers, slots, history, states of callbacks and files, in one number."""
    assert model.history
    history = model.history.state_dict()
    for name in Timing.adds_to_logs or ():
        if name in history["history"]:
            history["history"][name] = "other in each run"
    states = [each.state_dict() for each in model.callbacks if not isinstance(each, TensorBoard)]
    sums = hashlib.sha256()
    add_to(sums, [model.module.state_dict(), model.optimizer.state_dict(), history, states,
                  model.epochs_trained, model.batches_trained, list(contents(folder))], str(folder))
    return sums.hexdigest()


def contents(folder: Path) -> Iterator[Any]:
    """The files and what is in them; of event files, whose names are never the same, the points."""
    events = []
    for path in sorted((folder / "files").rglob("*")) + sorted((folder / "backup").rglob("*")):
        if path.name.startswith("events."):
            events += [(path.parent.name, *point) for point in points(path)]
        elif path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
    yield sorted(events)


def points(path: Path) -> Iterator[tuple[str, int, float | bytes]]:
    """The scalars and graphs in an event file: tag, step and value."""
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            (point,) = (*value.tensor.float_val, *value.tensor.string_val)
            yield value.tag, event.step, point


def add_to(sums: Any, tree: Any, folder: str) -> None:
    if isinstance(tree, Tensor):
        sums.update(tree.contiguous().numpy().tobytes())
    elif isinstance(tree, dict):
        for name, value in tree.items():
            sums.update(str(name).encode())
            add_to(sums, value, folder)
    elif isinstance(tree, list | tuple):
        for value in tree:
            add_to(sums, value, folder)
    else:
        sums.update(repr(tree).replace(folder, "").encode())
