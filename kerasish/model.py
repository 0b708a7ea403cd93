"""The class that users meet: a module that compiles, fits, evaluates and predicts."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from kerasish import insight, losses, optimizers
from kerasish.compiling import check_ending, decided_by, named_metrics
from kerasish.containers import Sequential
from kerasish.containers.grants import takes
from kerasish.data import Arrays
from kerasish.history import History
from kerasish.hooks import CallbackList
from kerasish.metrics import Metric
from kerasish.metrics.scores import Scores
from kerasish.module import Module
from kerasish.plan import check_batch_size, make_plan
from kerasish.progress import ProgressLine, check_verbose
from kerasish.random import drawing_from
from kerasish.training import Trainer, mode, stopping_on_interrupt
from kerasish.types import ArrayLike, Device, Shape


class Model(Trainer):
    """A net that is compiled, fitted, evaluated and asked, in Keras' words.

    Raises: TypeError if an argument is no module.

    Args:
        modules: one module, or several or a list of them, which become a Sequential. A module that
            is built already keeps its weights.
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
        self.metrics: dict[str, Metric | None] = {}
        self.history: History | None = None
        self.compiled = self._fitting = False

    def compile(self, optimizer: Any, loss: Any, metrics: Any = None) -> None:
        """Chooses how to train; all of it is checked here.

        Raises: ValueError for unknown names, with the nearest ones, and for a loss that does not
            fit the model's last module; TypeError for classes, and for a function as a loss.

        Args:
            optimizer: a name, "sgd" or "adam", or an Optimizer.
            loss: a name, "mse" or "cross_entropy" for instance, or a Loss.
            metrics: names, Metrics or functions of (y_true, y_pred), one or a list. "accuracy"
                means what the loss, the last module or the targets say; `summary()` shows what.
        """
        new_optimizer, new_loss = optimizers.get(optimizer), losses.get(loss)
        check_ending(self.module, new_loss)
        named = named_metrics(metrics, new_loss, self.module)
        if new_optimizer.flats and set(new_optimizer.parameters) != set(self.module.parameters()):
            raise ValueError(
                "compile(optimizer) expects an optimizer of its own for each model; got "
                f"{new_optimizer!r}, which trains another one. Make a new one."
            )
        self.optimizer, self.loss, self.metrics = new_optimizer, new_loss, named
        self.scores = None
        self.compiled = True
        self._prepare()

    @property
    def built(self) -> bool:
        """Whether the parameters exist."""
        return self.module.built

    @property
    def metrics_names(self) -> list[str]:
        """The keys of `evaluate(return_dict=True)`, known once the model is compiled."""
        return ["loss", *self.metrics]

    def build(self, shape: Shape) -> Shape:
        """Makes the parameters for samples of this shape; the first fit does it by itself.

        Returns: the shape of the output, without the batch axis.
        """
        with _undone_on_error(self.module):
            output = self.module.build(tuple(shape))
        self._prepare()
        return output

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
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
            x: the samples: an array, a tensor or nested lists, with the samples as axis 0.
            y: the targets, as many.
            batch_size: samples an update; the last batch of an epoch may be smaller.
            epochs: the number of the last epoch: `initial_epoch` of them are taken as done.
            verbose: 0 nothing, 1 or "auto" a progress bar where it can be drawn and else a line an
                epoch, 2 a line an epoch.
            callbacks: one Callback, or a list; they are told in order.
            validation_split: the share of samples, from the end, that is held back for validation.
            validation_data: (x, y) to validate on after each epoch; goes before validation_split.
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
        hooks = self._hooks([callbacks or [], history], verbose, plan.data, plan.batch_size,
                            epochs=plan.epochs.stop, seed=plan.seed,
                            logs=self._log_names(plan.validation is not None))
        with self._fitting_alone():
            with drawing_from(plan.initial_values()):
                self._make_ready(plan.data, plan.validation)
            self.history, self.stop_training = history, False
            try:
                with stopping_on_interrupt(self):
                    self.train_epochs(plan.on(self.device), hooks)
            finally:
                hooks.close()
        return history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics on other data, in evaluation mode; changes nothing.

        Returns: the loss, or a list [loss, *metrics] if there are metrics, or with
            return_dict=True a dictionary with `metrics_names` as keys.
        """
        self._require_compiled("evaluate")
        data = Arrays(x, y).require_samples("evaluate(x)")
        batch_size = check_batch_size("evaluate", batch_size)
        hooks = self._hooks(callbacks or [], verbose, data, batch_size)
        self._make_ready(data)
        try:
            results = self.test_epoch(data.to(self.device).batches(batch_size), hooks)
        finally:
            hooks.close()
        return _answer(results, return_dict)

    def predict(
        self,
        x: ArrayLike,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        callbacks: Any = None,
    ) -> Any:
        """The outputs for x as a numpy array, in evaluation mode; needs no compile."""
        data, batch_size = Arrays(x), check_batch_size("predict", batch_size)
        hooks = self._hooks(callbacks or [], verbose, data, batch_size, predicts=True)
        shape = self._make_ready(data)
        try:
            outputs = self.predict_epoch(data.to(self.device).batches(batch_size), hooks)
        finally:
            hooks.close()
        return np.concatenate(outputs) if outputs else torch.empty(0, *shape).numpy()

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> Any:
        """One update from one batch; returns its loss and metrics as `evaluate` does."""
        self._require_compiled("train_on_batch")
        data = Arrays(x, y).require_samples("train_on_batch(x)")
        self._make_ready(data)
        self.scores.reset()
        with mode(self.module.modules(), training=True), torch.inference_mode():
            for batch in data.to(self.device).batches(len(data)):
                self.scores.update(*self.train_step(*batch), *batch[1:])
        return _answer(self.scores.results(), return_dict)

    def test_on_batch(self, x: ArrayLike, y: ArrayLike, return_dict: bool = False) -> Any:
        """The loss and the metrics of one batch, as `evaluate` returns them; changes nothing."""
        self._require_compiled("test_on_batch")
        return self.evaluate(x, y, max(len(x), 1), verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Any:
        """The outputs for one batch, as a numpy array."""
        return self.predict(x, max(len(x), 1), verbose=0)

    def summary(self) -> None:
        """Prints modules, output shapes, parameters and bytes, and what "accuracy" means here."""
        print(insight.summary(self))

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"Model.{method} expects a compiled model; got one without optimizer and loss. Call "
                "model.compile(optimizer='sgd', loss='mse') first."
            )

    def _log_names(self, validates: bool) -> list[str]:
        names = self.metrics_names
        return names + [f"val_{name}" for name in names] if validates else names

    def _hooks(
        self, callbacks: Any, verbose: str | int, data: Arrays, batch_size: int, **more: Any
    ) -> CallbackList:
        """The callbacks of one run, told what is known of it; the progress line comes last."""
        steps = -(-len(data) // batch_size)
        params = {"verbose": check_verbose(verbose), "steps": steps, **more}
        return CallbackList([callbacks, ProgressLine()], self, params)

    def _make_ready(self, data: Arrays, validation: Arrays | None = None) -> Shape:
        """Builds what is not built, checks the data against it, and decides "accuracy".

        Returns: the shape of the output, without the batch axis.
        """
        with _undone_on_error(self.module):
            for part in (data, validation):
                if part is not None:
                    output = self.module.build(tuple(part.x.shape[1:]))
                    if part.y is not None:
                        self.loss.check_targets((len(part), *output), part.y)
            if data.y is not None:
                self._decide_metrics(data)
        self._prepare()
        return output

    def _decide_metrics(self, data: Arrays) -> None:
        if self.scores is None:
            decided = decided_by(self.metrics, self.loss, self.module, data.y)
            self.metrics.update(decided)
            self.scores, self.test_scores = Scores(decided), Scores(copy.deepcopy(decided))

    def _prepare(self) -> None:
        """Moves the parameters to the device and into the optimizer's flat vectors, once."""
        if not self.built:
            return
        if all(parameter.flat is None for parameter in self.module.parameters()):
            self.module.to(self.device)
        if self.compiled and not self.optimizer.flats:
            self.optimizer.build(self.module.parameters())

    @contextmanager
    def _fitting_alone(self) -> Iterator[None]:
        if self._fitting:
            raise RuntimeError("Model.fit expects to be the only fit of its model; got a second one "
                               "while one runs. Wait for it, or train a copy.")
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


@contextmanager
def _undone_on_error(module: Module) -> Iterator[None]:
    """Leaves a module unbuilt, as it was, if building it or checking data against it fails."""
    before = [] if module.built else [(part, dict(vars(part))) for part in module.modules()]
    try:
        yield
    except BaseException:
        for part, attributes in before:
            vars(part).clear()
            vars(part).update(attributes)
        raise
