"""The class that users meet: a module that compiles, fits, evaluates and predicts."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from kerasish import insight
from kerasish.compiling import Compilable
from kerasish.containers import Sequential
from kerasish.containers.grants import takes
from kerasish.data import Arrays
from kerasish.history import History
from kerasish.hooks import Callback, CallbackList
from kerasish.module import Module
from kerasish.plan import check_batch_size, labelled, make_plan
from kerasish.progress import ProgressLine, check_verbose
from kerasish.random import drawing_from
from kerasish.training import mode, stopping_on_interrupt
from kerasish.trees import filled, leaves, mapped_shapes
from kerasish.types import Device


class Model(Compilable):
    """A net that is compiled, fitted, evaluated and asked, in Keras' words.

    Raises: TypeError if an argument is no module.

    Args:
        modules: one module, or several or a list of them, which become a Sequential. A module that
            is built already keeps its weights. Outside training it is kept in evaluation mode.
        device: "auto" is CUDA if there is one, else the CPU; or "cpu", or a torch device.

    Example:
        >>> from kerasish.layers import Linear, Tanh
        >>> model = Model(Linear(8), Tanh(), Linear(1), device="cpu")
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> history = model.fit([[0.0], [1.0]], [[1.0], [0.0]], epochs=2, verbose=0)
        >>> model.predict([[0.5]], verbose=0).shape
        (1, 1)
    """

    def __init__(self, *modules: Module | Iterable[Module], device: Device = "auto") -> None:
        (first, *others) = modules or ((),)
        self.module = first if isinstance(first, Module) and not others else Sequential(*modules)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.module.eval()
        self._skips_dx = takes(self.module.backward, "need_dx")
        self.history: History | None = None
        self._fitting = False

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        seed: int | None = None,
    ) -> History:
        """Trains for some epochs; ends early on `stop_training` or Ctrl-C.

        Raises: RuntimeError before compile; ValueError or TypeError for arguments and data that do
            not fit, before anything is changed.

        Args:
            x: the samples: an array, a tensor or nested lists, with the samples as axis 0; several
                inputs in a tuple or a dict.
            y: the targets, as many; for several outputs in a tuple or a dict.
            batch_size: samples an update; the last batch of an epoch may be smaller.
            epochs: the number of the last epoch: `initial_epoch` of them are taken as done.
            verbose: 0 nothing, 1 or "auto" a progress bar where it can be drawn and else a line an
                epoch, 2 a line an epoch.
            callbacks: one Callback, or a list; they are told in order.
            validation_split: the share of samples, from the end, that is held back for validation.
            validation_data: (x, y), or (x, y, sample weights), to validate on after each epoch;
                goes before validation_split.
            shuffle: whether each epoch has an order of its own.
            initial_epoch: the epoch to start with, counted from 0.
            seed: decides the initial values of what is built here, the order and the noise. None
                draws one; either way it is kept as `history.seed`.

        Returns: what was logged, epoch by epoch.
        """
        self._require_compiled("fit")
        plan = make_plan(x, y, batch_size, epochs, validation_split, validation_data, shuffle,
                         initial_epoch, seed)
        history = History()
        hooks = self._hooks("fit", callbacks, verbose, plan.data, plan.batch_size, history,
                            epochs=plan.epochs.stop, seed=plan.seed,
                            logs=self._log_names(plan.validation is not None))
        with self._training_alone("fit"), hooks.closing():
            with self._undone_on_error():
                with drawing_from(plan.initial_values()):
                    self._make_ready(plan.data, plan.validation)
                plan.require_batches_for(self.module)
                self.history, self.stop_training = history, False
                hooks.on_train_begin({})
            with self.cleared_after(), stopping_on_interrupt(self):
                self.train_epochs(plan.on(self.device, self._dtype()), hooks)
        return history

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics on other data, in evaluation mode; changes no parameter.

        Returns: the loss, or a list [loss, *metrics] if there are metrics, or with
            return_dict=True a dictionary with `metrics_names` as keys.
        """
        self._require_compiled("evaluate")
        data, batch_size = labelled("evaluate", x, y), check_batch_size("evaluate", batch_size)
        hooks = self._hooks("evaluate", callbacks, verbose, data, batch_size)
        with self._undone_on_error():
            self._make_ready(data)
        with hooks.closing():
            results = self.test_epoch(self._placed(data).batches(batch_size), hooks)
        return _answer(results, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        callbacks: Any = None,
    ) -> Any:
        """The outputs for x as a numpy array, in evaluation mode; needs no compile."""
        data, batch_size = Arrays(x, who="predict"), check_batch_size("predict", batch_size)
        hooks = self._hooks("predict", callbacks, verbose, data, batch_size)
        with self._undone_on_error():
            shape = self._make_ready(data)
        with hooks.closing():
            outputs = self.predict_epoch(self._placed(data).batches(batch_size), hooks)
        if not outputs:
            return mapped_shapes(
                lambda each: torch.empty(0, *each, dtype=self._dtype()).numpy(), shape)
        return filled(outputs[0], map(np.concatenate, zip(*map(leaves, outputs), strict=True)))

    def train_on_batch(self, x: Any, y: Any, return_dict: bool = False) -> Any:
        """One update from one batch; returns its loss and metrics as `evaluate` does."""
        self._require_compiled("train_on_batch")
        data = labelled("train_on_batch", x, y)
        with self._undone_on_error():
            self._make_ready(data)
        scores, (batch,) = self.scores.fresh(), self._placed(data).batches(len(data))
        with self._training_alone("train_on_batch"), self.cleared_after(gathers=True):
            with mode(self.module.modules(), training=True), torch.inference_mode():
                scores.update(*self.train_step(*batch), *batch[1:], self.loss.values)
        return _answer(scores.final_results(), return_dict)

    def test_on_batch(self, x: Any, y: Any, return_dict: bool = False) -> Any:
        """The loss and the metrics of one batch, as `evaluate` returns them."""
        self._require_compiled("test_on_batch")
        size = max(1, len(Arrays(x, who="test_on_batch")))
        return self.evaluate(x, y, size, verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as a numpy array."""
        return self.predict(x, max(1, len(Arrays(x, who="predict_on_batch"))), verbose=0)

    def summary(self) -> None:
        """Prints modules, output shapes, parameters and bytes, and what "accuracy" means here."""
        print(insight.summary(self))

    def _log_names(self, validates: bool) -> list[str]:
        names = self.metrics_names
        return names + [f"val_{name}" for name in names] if validates else names

    def _hooks(
        self, who: str, callbacks: Any, verbose: str | int, data: Arrays, batch_size: int,
        *own: Callback, **more: Any,
    ) -> CallbackList:
        """The callbacks of one run, told what is known of it; the progress line comes last."""
        given = [] if callbacks is None else [callbacks]
        params = {"verbose": check_verbose(who, verbose), "samples": len(data),
                  "steps": -(-len(data) // batch_size)}
        return CallbackList([*given, *own, ProgressLine()], self, {**params, **more})

    def __getstate__(self) -> dict[str, Any]:
        """A copy is not being trained, whatever the model is at the moment."""
        return {**vars(self), "_fitting": False, "_after_backward": ()}

    @contextmanager
    def _training_alone(self, method: str) -> Iterator[None]:
        if self._fitting:
            raise RuntimeError(f"Model.{method} expects to be the only fit of its model; got "
                               "called while another one runs. Wait for it, or train a copy.")
        self._fitting = True
        try:
            yield
        finally:
            self._fitting = False


def _answer(results: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return results
    values = list(results.values())
    return values if len(values) > 1 else values[0]
