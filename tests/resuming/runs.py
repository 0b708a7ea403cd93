"""Small trainings of every kind, and all that is left of one as a digest."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kerasish import Model
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    History,
    ReduceLROnPlateau,
)
from kerasish.layers import BatchNorm1d, Dropout, Linear, Tanh
from kerasish.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "momentum": lambda **more: SGD(0.05, momentum=0.9, **more),
    "Adam": lambda **more: Adam(0.02, **more),
    "AdamW": lambda **more: AdamW(0.02, use_ema=True, ema_momentum=0.9, **more),
    "RMSprop": lambda **more: RMSprop(0.01, momentum=0.5, centered=True, **more),
}
LAYERS: dict[str, Callable[[], list[Any]]] = {
    "plain": lambda: [Linear(8), Tanh()],
    "dropout": lambda: [Linear(8), Tanh(), Dropout(0.3)],
    "batch norm": lambda: [Linear(8), BatchNorm1d(), Tanh()],
    "accumulation": lambda: [Linear(8), Tanh()],
}
SAVES: dict[str, Any] = {"by epoch": "epoch", "by batch": 3}
SAMPLES, BATCH, EPOCHS = 75, 8, 4


class Kind(NamedTuple):
    """One kind of training, by the names above."""

    optimizer: str
    layers: str
    saves: str


KINDS = [Kind(*each) for each in
         ((o, n, s) for o in OPTIMIZERS for n in LAYERS for s in SAVES)]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * SAMPLES).view(SAMPLES, 2).sin()
    return x, (x[:, :1] * x[:, 1:]).cos()


def compiled(kind: Kind) -> Model:
    model = Model(*LAYERS[kind.layers](), Linear(1), device="cpu")
    more = {"gradient_accumulation_steps": 3} if kind.layers == "accumulation" else {}
    model.compile(OPTIMIZERS[kind.optimizer](**more), loss="mse", metrics=["mae", "r2_score"])
    return model


def train(kind: Kind, folder: Path, more: Iterable[Callback] = (), **arguments: Any) -> Model:
    """As a script would, the same each time it is started."""
    model, (x, y) = compiled(kind), data()
    callbacks = [
        EarlyStopping(patience=50, restore_best_weights=True),
        ReduceLROnPlateau("loss", factor=0.7, patience=1, min_delta=0.01),
        BackupAndRestore(folder / "backup", SAVES[kind.saves]),
        *more,
    ]
    settings = {"batch_size": BATCH, "epochs": EPOCHS, "seed": 5, "verbose": 0,
                "validation_split": 0.2} | arguments
    model.fit(x, y, callbacks=callbacks, **settings)
    model.callbacks = callbacks  # to look at their states
    return model


def digest(model: Model, folder: Path) -> str:
    """Weights, buffers, slots, history, states of callbacks and files, in one number."""
    sums = hashlib.sha256()
    for path, value in model.module.state_dict().items():
        sums.update(path.encode() + value.numpy().tobytes())
    add_to(sums, model.optimizer.state_dict())
    assert isinstance(model.history, History)
    sums.update(json.dumps(model.history.history).encode() + repr(model.history.epoch).encode())
    for callback in model.callbacks:
        add_to(sums, callback.state_dict())
    sums.update(repr((model.epochs_trained, model.batches_trained)).encode())
    return sums.hexdigest()


def add_to(sums: Any, tree: Any) -> None:
    if isinstance(tree, torch.Tensor):
        sums.update(tree.contiguous().numpy().tobytes())
    elif isinstance(tree, dict):
        for name, value in tree.items():
            sums.update(str(name).encode())
            add_to(sums, value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            add_to(sums, value)
    else:
        sums.update(repr(tree).encode())
