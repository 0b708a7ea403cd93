"""What is trained by one process and by several, to compare: small, in float64, without noise."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model, Sequential
from kerasish.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from kerasish.containers import Concat, Graph, Input, Recompute
from kerasish.hooks import Callback
from kerasish.layers import (
    LSTM,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Tanh,
)
from kerasish.losses import CrossEntropy
from kerasish.optimizers import LAMB, SGD, Adam, AdamW

SAMPLES, BATCH = 22, 8
WAY = os.environ.get("DISTRIBUTE", "auto")


class Case(NamedTuple):
    """A training: what is made and fitted anew in each process."""

    make: Callable[[], Any]
    loss: Any = "mse"
    optimizer: Callable[[], Any] = Adam
    shape: tuple[int, ...] = (4,)
    metrics: Any = ()
    fit: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    classes: int = 0


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(1))


def data_of(case: Case) -> tuple[Any, Any]:
    x = drawn(*case.shape)
    if case.classes:
        return x, torch.arange(SAMPLES) % case.classes
    return x, drawn(2)


def dense() -> Sequential:
    return Sequential(Linear(6), ReLU(), Linear(6), Tanh(), Linear(2))


def conv() -> Sequential:
    return Sequential(Conv2d(3, kernel_size=3), ReLU(), MaxPool2d(2), Flatten(), Linear(3))


def partly_frozen() -> Sequential:
    net = dense()
    net[2].trainable = False
    return net


def used_twice() -> Sequential:
    shared = Linear(4)
    return Sequential(shared, Tanh(), shared, Tanh(), Linear(2))


def normed() -> Sequential:
    return Sequential(Conv2d(3, kernel_size=3, bias=False), BatchNorm2d(synchronized=True), ReLU(),
                      MaxPool2d(2), Flatten(), BatchNorm1d(synchronized=True), Linear(3))


def graph() -> Graph:
    first, second = Input((4,)), Input((4,))
    eye = Sequential(Linear(5), Tanh(), LayerNorm())
    seen = Concat()((eye(first), eye(second)))
    return Graph({"a": first, "b": second}, {"one": Linear(2)(seen), "two": Linear(3)(seen)})


CASES = {
    "dense": Case(dense, metrics=["mae", "r2"]),
    "sgd": Case(dense, optimizer=lambda: SGD(0.1, momentum=0.9, weight_decay=0.01)),
    "lamb": Case(dense, optimizer=lambda: LAMB(0.05)),
    "conv": Case(conv, "cross_entropy", shape=(1, 8, 8), classes=3,
                 metrics=["accuracy"]),
    "sequences": Case(lambda: Sequential(LSTM(5), Linear(2)), shape=(5, 3)),
    "clipped": Case(dense, optimizer=lambda: SGD(0.1, global_clipnorm=0.1)),
    "clipped each": Case(dense, optimizer=lambda: SGD(0.1, momentum=0.5, clipnorm=0.05)),
    "accumulated": Case(dense, optimizer=lambda: Adam(gradient_accumulation_steps=2)),
    "averaged": Case(dense, optimizer=lambda: AdamW(use_ema=True, ema_momentum=0.5)),
    "weights of classes": Case(conv, CrossEntropy(weight=[1.0, 2.0, 5.0], ignore_index=1),
                               shape=(1, 8, 8), classes=3, metrics=["accuracy"]),
    "weights of samples": Case(
        dense, fit={"sample_weight": torch.arange(SAMPLES) / 10, "validation_split": 0.3}),
    "class_weight": Case(conv, "cross_entropy", shape=(1, 8, 8), classes=3,
                         fit={"class_weight": {0: 1.0, 1: 3.0}}),
    "synchronized": Case(normed, "cross_entropy", shape=(1, 8, 8), classes=3,
                         fit={"validation_split": 0.1}),
    "synchronized, batches of two": Case(
        lambda: Sequential(Linear(6), BatchNorm1d(synchronized=True, momentum=None), Linear(2)),
        optimizer=lambda: SGD(0.1), fit={"batch_size": 2, "epochs": 1}),
    "synchronized within recompute": Case(
        lambda: Sequential(Recompute(Sequential(Linear(6, bias=False),
                                                BatchNorm1d(synchronized=True))),
                           Linear(2)), optimizer=lambda: Adam(gradient_accumulation_steps=2)),
    "synchronized, without statistics": Case(
        lambda: Sequential(Conv2d(2, kernel_size=3, bias=False),
                           BatchNorm2d(synchronized=True, track_running_stats=False), Flatten(),
                           Linear(3)), "cross_entropy", shape=(1, 8, 8), classes=3),
    "batches of one": Case(dense, fit={"batch_size": 1, "epochs": 1}),
    "stopped": Case(dense, optimizer=lambda: SGD(0.5), fit={
        "validation_split": 0.3, "epochs": 9,
        "callbacks": [EarlyStopping(patience=1, restore_best_weights=True),
                      ReduceLROnPlateau(patience=1)]}),
    "averaged now and then": Case(dense, optimizer=lambda: AdamW(
        use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)),
    "frozen": Case(partly_frozen, optimizer=lambda: SGD(0.1, momentum=0.9, global_clipnorm=0.1)),
    "constrained": Case(lambda: Sequential(
        Linear(6, weight_constraint="max_norm", bias_constraint="non_neg"), Linear(2))),
    "used twice": Case(used_twice, optimizer=lambda: SGD(0.1, momentum=0.9)),
    "regularized": Case(lambda: Sequential(Linear(6, weight_regularizer="l2"), Linear(2))),
}


def run(case: Case, **more: Any) -> dict[str, Any]:
    """Fits, evaluates and predicts; all results, by name."""
    torch.set_default_dtype(torch.float64)
    x, y = data_of(case)
    model = Model(case.make(), device="cpu", distribute=WAY)
    model.compile(case.optimizer(), case.loss, metrics=list(case.metrics))
    settings = {"batch_size": BATCH, "epochs": 3, "verbose": 0, "seed": 0} | case.fit | more
    history = model.fit(x, y, **settings)
    return results(model, history, x, y)


def results(model: Model, history: Any, x: Any, y: Any) -> dict[str, Any]:
    return {
        "history": dict(history.history),
        "weights": model.module.state_dict(),
        "evaluated": model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True),
        "predicted": model.predict(x, batch_size=7, verbose=0),
    }


def run_graph(**more: Any) -> dict[str, Any]:
    torch.set_default_dtype(torch.float64)
    model = Model(graph(), device="cpu", distribute=WAY)
    model.compile("adam", {"one": "mse", "two": "cross_entropy"},
                  loss_weights={"one": 1.0, "two": 0.5}, metrics={"two": "accuracy"})
    x = {"a": drawn(4), "b": drawn(4).flip(0)}
    y = {"one": drawn(2), "two": torch.arange(SAMPLES) % 3}
    history = model.fit(x, y, batch_size=BATCH, epochs=3, verbose=0, seed=0, **more)
    answers = model.predict(x, verbose=0)
    return {"history": dict(history.history), "weights": model.module.state_dict(),
            "evaluated": {}, "predicted": np.concatenate([*answers.values()], 1)}


def run_loader(kind: str) -> dict[str, Any]:
    torch.set_default_dtype(torch.float64)
    x, y = data_of(CASES["dense"])
    model = Model(dense(), device="cpu", distribute=WAY)
    model.compile("adam", "mse")
    data = TensorDataset(x, y)
    if kind == "loader":
        given: Any = DataLoader(data, batch_size=BATCH, shuffle=True)
    elif kind == "loader with workers":
        given = DataLoader(data, batch_sampler=[[0, 5, 3, 1, 9], [7], [2, 8]], num_workers=1)
    elif kind == "generator":
        given = [(x[i : i + 5], y[i : i + 5]) for i in range(0, SAMPLES, 5)]
    behind = DataLoader(data, batch_size=5)
    history = model.fit(given, epochs=3, verbose=0, seed=0, validation_data=behind,
                        steps_per_epoch=2 if kind == "loader" else None)
    found = results(model, history, x, y)
    if kind == "generator":
        return found
    asked = {"evaluated": model.evaluate(behind, verbose=0, return_dict=True),
             "predicted": model.predict(DataLoader(TensorDataset(x), 6), verbose=0)}
    assert np.allclose(asked["predicted"], found["predicted"], 1e-9, 1e-9)
    return found | asked


def run_weighed_loader() -> dict[str, Any]:
    """Classes in a loader, whose targets decide the weights of samples."""
    torch.set_default_dtype(torch.float64)
    x, y = data_of(CASES["conv"])
    model = Model(conv(), device="cpu", distribute=WAY)
    model.compile("adam", "cross_entropy", weighted_metrics=["accuracy"])
    data = TensorDataset(x, y, torch.arange(SAMPLES) / 7)
    history = model.fit(DataLoader(data, batch_size=BATCH, shuffle=True), epochs=2, verbose=0,
                        seed=0, class_weight={0: 2.0, 2: 0.5})
    return results(model, history, x, y)


def run_mapped(folder: Path) -> dict[str, Any]:
    """Inputs in a file; and what callbacks see of its batches, which is all of each."""
    torch.set_default_dtype(torch.float64)
    x, y = data_of(CASES["dense"])
    path = folder.parent / f"x{os.environ.get('RANK', '')}.npy"
    np.save(path, x.numpy())
    sums: list[float] = []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            sums.extend(part.sum().item() for part in self.model.batch_data[:2])

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            (of_x, of_y, _), _ = self.model.tested
            sums.extend((of_x.sum().item(), of_y.sum().item()))

    model = Model(dense(), device="cpu", distribute=WAY)
    model.compile("adam", "mse")
    mapped = np.load(path, mmap_mode="r")
    history = model.fit(mapped, y, batch_size=BATCH, epochs=2, verbose=0, seed=0, prefetch=1,
                        validation_data=(mapped, y), callbacks=[Look()])
    return results(model, history, mapped, y) | {"evaluated": {
        str(place): each for place, each in enumerate(sums)}}


class Counted(TensorDataset):
    """Counts the samples that are loaded in this process."""

    loaded = 0

    def __getitem__(self, number: int) -> Any:
        self.loaded += 1
        return super().__getitem__(number)


def run_counted() -> dict[str, Any]:
    torch.set_default_dtype(torch.float64)
    x, y = data_of(CASES["dense"])
    model = Model(dense(), device="cpu", distribute=WAY)
    model.compile("adam", "mse")
    data, counts = Counted(x, y), []
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    history = model.fit(loader, epochs=2, verbose=0, seed=0)
    for use in (model.evaluate, model.predict):
        counts.append(data.loaded)
        use(loader, verbose=0)
    counts.append(data.loaded)
    return results(model, history, x, y) | {"counts": counts}


class Mixed(Model):
    """Its step looks at all rows: each sample is mixed with another one."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        x, y = 0.7 * x + 0.3 * x.flip(0), 0.7 * y + 0.3 * y.flip(0)
        return super().train_step(x, y, sample_weight)


def run_mixed(loads: bool) -> dict[str, Any]:
    torch.set_default_dtype(torch.float64)
    x, y = data_of(CASES["dense"])
    model = Mixed(dense(), device="cpu", distribute=WAY)
    model.compile("adam", "mse")
    given = (DataLoader(TensorDataset(x, y), batch_size=BATCH),) if loads else (x, y, BATCH)
    history = model.fit(*given, epochs=2, verbose=0, seed=0)
    return results(model, history, x, y)


def run_files(folder: Path) -> dict[str, Any]:
    """With callbacks that write, and one that says on which processes it was called."""
    told: list[int] = []

    class Tell(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            told.append(epoch)

    found = run(CASES["dense"], callbacks=[
        Tell(), CSVLogger(folder / "log.csv"),
        ModelCheckpoint(folder / "best.safetensors", monitor="loss")], verbose=2)
    return found | {"told": told}


EXTRA: dict[str, Callable[[Path], dict[str, Any]]] = {
    "graph": lambda folder: run_graph(),
    "loader": lambda folder: run_loader("loader"),
    "loader with workers": lambda folder: run_loader("loader with workers"),
    "loader, counted": lambda folder: run_counted(),
    "loader, weighed": lambda folder: run_weighed_loader(),
    "generator": lambda folder: run_loader("generator"),
    "mapped": run_mapped,
    "steps of its own": lambda folder: run_mixed(False),
    "steps of its own, loader": lambda folder: run_mixed(True),
    "files": run_files,
}


SINGLE = {
    "dense": Case(dense, fit={"sample_weight": torch.arange(SAMPLES) / 10}),
    "synchronized": Case(
        lambda: Sequential(Conv2d(3, kernel_size=3, bias=False), BatchNorm2d(synchronized=True),
                           ReLU(), MaxPool2d(2), Flatten(), Linear(3)),
        "cross_entropy", shape=(1, 8, 8), classes=3),
    "sequences": CASES["sequences"],
}


def run_in_float32(case: Case) -> dict[str, Any]:
    """The gradients of one batch, and how a run ends."""
    torch.set_default_dtype(torch.float32)
    x, y = data_of(case)
    found: dict[str, Any] = {}
    for name, batch_size, epochs in (("gradients", SAMPLES, 1), ("run", BATCH, 3)):
        model, optimizer = Model(case.make(), device="cpu", distribute=WAY), SGD(0.1, momentum=0.9)
        model.compile(optimizer, case.loss)
        history = model.fit(x, y, batch_size, epochs, 0, seed=0, **case.fit)
        found[name] = optimizer.state_dict()["slots"]["velocity"]  # after one step: the gradient
    return found | {"loss": history.history["loss"], "weights": model.module.state_dict()}


RUNS: dict[str, Callable[[Path], dict[str, Any]]] = {
    **{name: lambda folder, case=case: run(case)  # type: ignore[misc]
       for name, case in CASES.items()}, **EXTRA,
    **{f"{name} in float32": lambda folder, case=case: run_in_float32(case)  # type: ignore[misc]
       for name, case in SINGLE.items()},
}


def all_results(folder: Path, names: Iterable[str] = RUNS) -> dict[str, dict[str, Any]]:
    """Everything, or what is named, for one process of a group, or for one alone."""
    rank = os.environ.get("RANK", "alone")
    (folder / "files").mkdir(parents=True, exist_ok=True)
    found = {name: RUNS[name](folder / "files") for name in names}
    torch.save(found, folder / f"{rank}.pt")
    return found
