"""The class that users meet: a module that compiles, fits, evaluates and predicts."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from kerasish.containers import Sequential
from kerasish.containers.grants import takes
from kerasish.contents import Contents
from kerasish.data import Source, source_of
from kerasish.distributed import check_way
from kerasish.history import History
from kerasish.inspectable import Inspectable
from kerasish.module import Module
from kerasish.plan import Validation, check_steps, make_plan, one_batch, weighing
from kerasish.random import drawing_from
from kerasish.resuming import Resumable
from kerasish.running import Run, stopping_on_interrupt
from kerasish.savable import Savable
from kerasish.streaming import check_streaming, gradients_used_early
from kerasish.together import Together
from kerasish.training import mode
from kerasish.trees import filled, leaves, mapped_shapes
from kerasish.types import Device


class Model(Savable, Resumable, Inspectable, Contents, Together):
    """A net that is compiled, fitted, evaluated and asked, in Keras' words.

    Raises: TypeError if an argument is no module.

    Args:
        modules: one module, or several or a list of them, which become a Sequential. A module that
            is built already keeps its weights. Outside training it is kept in evaluation mode.
        device: "auto" is CUDA if there is one, else the CPU; or "cpu", or a torch device.
        distribute: "data" trains together with other processes, each on a part of every batch, as
            one process would; "auto" does so where torchrun has started several; None never. "zero"
            is "data" where each keeps the optimizer's vectors for a share of the weights alone:
            `save`, copies and whatever else looks at all of them are then for all to call.

    Example:
        >>> from kerasish.layers import Linear, Tanh
        >>> model = Model(Linear(8), Tanh(), Linear(1), device="cpu")
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> history = model.fit([[0.0], [1.0]], [[1.0], [0.0]], epochs=2, verbose=0)
        >>> model.predict([[0.5]], verbose=0).shape
        (1, 1)
    """

    def __init__(
        self, *modules: Module | Iterable[Module], device: Device = "auto",
        distribute: str | None = "auto",
    ) -> None:
        (first, *others) = modules or ((),)
        self.module = first if isinstance(first, Module) and not others else Sequential(*modules)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device, self.distribute = torch.device(device), check_way(distribute)
        self.module.eval()
        self._skips_dx = takes(self.module.backward, "need_dx")
        self.history: History | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        *,
        seed: int | None = None,
        fast_dev_run: bool = False,
        overfit_batches: int | None = None,
        prefetch: int = 0,
        stream_updates: bool = False,
    ) -> History:
        """Trains for some epochs; ends early on `stop_training` or Ctrl-C.

        Raises: RuntimeError before compile; ValueError or TypeError for arguments and data that do
            not fit, before anything is changed.

        Args:
            x: the samples: an array, a tensor, a frame or nested lists, with the samples as axis 0;
                several inputs in a tuple or a dict. Or what brings batches (x, y) or (x, y, sample
                weights) itself: a DataLoader, a generator, anything iterable, a function that makes
                one for each pass; or a Dataset.
            y: the targets, as many; for several outputs in a tuple or a dict.
            batch_size: samples an update, 32 if None; the last batch of a pass may be smaller.
            epochs: the number of the last epoch: `initial_epoch` of them are taken as done.
            verbose: 0 nothing, 1 or "auto" a progress bar where it can be drawn and else a line an
                epoch, 2 a line an epoch.
            callbacks: one Callback, or a list; they are told in order.
            validation_split: the share of samples, from the end, that is held back for validation.
            validation_data: (x, y), or (x, y, sample weights), or what brings batches of these, to
                validate on after each epoch; goes before validation_split.
            shuffle: whether each pass over arrays or a Dataset has an order of its own.
            class_weight: class → weight of its samples in the loss and in weighted metrics; 1 for
                classes that are not named. With several outputs: output → such a dict.
            sample_weight: one weight a sample; multiplied with that of its class.
            initial_epoch: the epoch to start with, counted from 0.
            steps_per_epoch: batches an epoch; passes follow each other across epochs. None is a
                pass an epoch.
            validation_steps: batches that are validated on; None is all of them.
            validation_batch_size: batch_size for validation; None is the same.
            validation_freq: validate after every so many epochs, or after those listed, from 1.
            seed: decides the initial values of what is built here, the order and the noise. None
                draws one; either way it is kept as `history.seed`.
            fast_dev_run: tries everything out on one batch and one of validation, for one epoch;
                callbacks that write files are left out.
            overfit_batches: trains on the first so many batches alone, in the same order in each
                epoch: a net that cannot learn these by heart has a defect.
            prefetch: batches that x and validation_data prepare in a thread while one is trained
                on; of arrays in files, it is a block. Worth it where reading waits for a disk or a
                network. 0 prepares none: with workers, a DataLoader prepares them itself. Data that
                draw from Python's, numpy's or torch's global generators are refused; where training
                ends early, an iterator may have lost as many batches.
            stream_updates: whether each parameter is updated as soon as its gradient is complete,
                while backward goes on, and the gradient's memory is used for the next one. The
                numbers are the same to the bit; it saves nearly the memory of all gradients, and
                takes some microseconds a parameter. What needs all gradients at once is refused:
                accumulation, clipping by the norm of them all, callbacks that look at them.

        Returns: what was logged, epoch by epoch.
        """
        self._require_compiled("fit")
        self.join()
        plan = make_plan(x, y, sample_weight, batch_size=batch_size, epochs=epochs,
                         initial_epoch=initial_epoch, steps=steps_per_epoch, shuffle=shuffle,
                         seed=seed, trial=fast_dev_run, overfit_batches=overfit_batches,
                         prefetch=prefetch, validation=Validation(
                             validation_split, validation_data, validation_freq, validation_steps,
                             validation_batch_size))
        plan = self.agreed_seed(plan)
        history = History()
        hooks = self._hooks("fit", callbacks, verbose, plan.batches_an_epoch, history,
                            epochs=plan.epochs.stop, seed=plan.seed, samples=plan.samples_an_epoch,
                            validation_steps=plan.batches_of_validation,
                            logs=self._log_names(plan.validation is not None),
                            open=self.trains_by_itself, trial=fast_dev_run)
        check_streaming(stream_updates, self, hooks)
        with self._training_alone("fit"), hooks.closing():
            with self._undone_on_error():
                with drawing_from(plan.initial_values()):
                    output = self._make_ready("fit", plan.source, plan.validation)
                plan.require_batches_for(self.module)
                plan = self.begin_together(plan.weighing(class_weight, self.loss, output))
                plan = plan.on(self.device, self._dtype())
                self.history, self.run = history, Run(plan, hooks, self.device)
                self.stop_training = self.interrupted = self.diverged = False
                hooks.on_train_begin({})
            with self.cleared_after(), plan.prefetching(), stopping_on_interrupt(self):
                hooks.on_restore()
                with gradients_used_early(self, stream_updates):
                    self.train_epochs(self.run)
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics on other data, in evaluation mode; changes no parameter.

        Takes what `fit` takes; `steps` batches of it, or all.

        Returns: the loss, or a list [loss, *metrics] if there are metrics, or with
            return_dict=True a dictionary with `metrics_names` as keys.
        """
        self._require_compiled("evaluate")
        self.join()
        source = source_of(x, y, sample_weight, who="evaluate", batch_size=batch_size)
        steps = check_steps("evaluate(steps)", steps, source)
        hooks = self._hooks("evaluate", callbacks, verbose, steps or source.batches)
        with hooks.closing():
            with self._undone_on_error():
                self._make_ready("evaluate", source)
            results = self.test_epoch(self._placed(source).from_start(steps), hooks)
        return _answer(results, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for x as a numpy array, in evaluation mode; needs no compile.

        Takes what `fit` takes, targets left aside; `steps` batches of it, or all. Each batch is
        moved to the host before the next one.
        """
        self.join()
        source = source_of(x, who="predict", batch_size=batch_size)
        steps = check_steps("predict(steps)", steps, source)
        hooks = self._hooks("predict", callbacks, verbose, steps or source.batches)
        with hooks.closing():
            with self._undone_on_error():
                shape = self._make_ready("predict", source)
            outputs = self.predict_epoch(self._placed(source).from_start(steps), hooks)
        if not outputs:
            return mapped_shapes(
                lambda each: torch.empty(0, *each, dtype=self._dtype()).numpy(), shape)
        return filled(outputs[0], map(_joined, zip(*map(leaves, outputs), strict=True)))

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One update from one batch; returns its loss and metrics as `evaluate` does."""
        self._require_compiled("train_on_batch")
        self.join()
        source: Source = one_batch("train_on_batch", x, y, sample_weight)
        with self._undone_on_error():
            output = self._make_ready("train_on_batch", source)
            source = weighing(source, class_weight, self.loss, output)
        source = self._placed(source)
        scores, (batch,) = self.scores.fresh(), source.epoch(0)
        with self._training_alone("train_on_batch"), self.cleared_after(gathers=True):
            with mode(self.module.modules(), training=True), torch.inference_mode():
                self.record(scores, self.train_step(*batch), *batch)
                self.batches_trained += 1
        return _answer(scores.final_results(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics of one batch, as `evaluate` returns them."""
        self._require_compiled("test_on_batch")
        size = one_batch("test_on_batch", x, y, sample_weight).batch_size
        return self.evaluate(x, y, size, 0, sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as a numpy array."""
        return self.predict(x, one_batch("predict_on_batch", x).batch_size, verbose=0)

    def __getstate__(self) -> dict[str, Any]:
        """A copy is not being trained, whatever the model is at the moment."""
        return {**vars(self), "_fitting": False, "_after_backward": (), "run": None,
                "_batch_data": None, "batch_loss": None, "_tested": None, "group": None}

    @contextmanager
    def _training_alone(self, method: str) -> Iterator[None]:
        if self._fitting:
            raise RuntimeError(f"Model.{method} expects to be the only fit of its model; got "
                               "called while another one runs. Wait for it, or train a copy.")
        self._fitting = True
        try:
            yield
        finally:
            self._fitting, self.run = False, None


def _joined(outputs: tuple[Any, ...]) -> Any:
    """Outputs of batches one below the other."""
    first, *others = outputs
    for number, output in enumerate(others, 1):
        if output.shape[1:] != first.shape[1:]:
            raise ValueError(f"Model.predict expects outputs of one shape in all batches; got "
                             f"{first.shape[1:]} in the first and {output.shape[1:]} in batch "
                             f"{number}. Pad x to one length, or predict batch by batch.")
    return np.concatenate(outputs)


def _answer(results: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return results
    values = list(results.values())
    return values if len(values) > 1 else values[0]
