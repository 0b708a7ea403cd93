"""From a module to a model that can be trained: choices first, sizes when data is first seen."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import add
from types import MappingProxyType
from typing import Any

import torch

from kerasish import losses, optimizers
from kerasish.checks import check_count, check_flag
from kerasish.data import Source
from kerasish.endings import check_classes, check_endings, endings, known_outputs
from kerasish.jit import Jit
from kerasish.losses import Loss
from kerasish.losses.several import NoLoss, OutputLosses, check_weights, for_outputs, keys_of
from kerasish.metrics import Metric, Scores, named_metrics
from kerasish.plan import require_targets
from kerasish.precision import check_precision, compute_copy
from kerasish.progress import notice
from kerasish.training import Trainer
from kerasish.trees import batch_size, mapped, mapped_shapes, sample_shapes


class Compilable(Trainer):
    """A trainer whose optimizer, loss and metrics are chosen by `compile`.

    What data decides, the sizes of parameters and the meaning of "accuracy", is made with it.
    """

    compiled = False
    """Whether optimizer and loss are chosen."""
    metrics: Mapping[str, Metric] = {}
    """The metrics by the names that logs show, those with sample weights last."""
    weighted_names: tuple[str, ...] = ()
    """The names of the metrics that see sample weights."""
    compile_arguments: Mapping[str, Any] = MappingProxyType({})
    """What `compile` was given, as it was given."""
    precision: torch.dtype | None = None
    """What `compile` was told to compute in; None is the type of the parameters."""
    _fitting = False

    def compile(
        self,
        optimizer: Any,
        loss: Any,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        steps_per_execution: int = 1,
        precision: str | None = None,
        jit_compile: bool = False,
    ) -> None:
        """Chooses how to train; all of it is checked here.

        Raises: ValueError for unknown names, with the nearest ones, and for a loss that does not
            fit the model's last module; TypeError for classes, and for a function as a loss;
            RuntimeError within fit.

        Args:
            optimizer: a name, "sgd" or "adam", or an Optimizer.
            loss: a name, "mse" or "cross_entropy" for instance, or a Loss. For a model with several
                outputs, a list or dict of one for each (None for an output without), or one that is
                meant for each. None alone, where the class has a `train_step` with losses of its
                own.
            loss_weights: for several outputs, numbers that their losses are multiplied with.
            metrics: names, Metrics or functions of (y_true, y_pred), one or a list; for several
                outputs, a list or dict of these. "accuracy" means what the loss, the last module or
                the targets say; `summary()` shows what. Sample weights do not reach them.
            weighted_metrics: the same with sample weights; one that is among `metrics` too is
                called weighted_<name>.
            steps_per_execution: in fit, batches from one call of the batch hooks to the next, 1 or
                more.
            precision: "bfloat16" computes forward and backward in that type, on a copy of the
                weights; weights, the sums of gradients, losses, metrics, the optimizer and the
                statistics of norms stay in float32, and so do files. "float32" refuses parameters
                of any other type. None computes in the type that they have.
            jit_compile: whether fit runs the whole training step, `steps_per_execution` of them in
                one call, as a program that `torch.compile` makes in its first epoch, which takes
                some seconds and needs a C++ compiler. Results are the same but for rounding. It
                pays for small nets, whose steps take less than a millisecond; larger ones train
                faster without. What cannot be compiled is named once, and training goes on without.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        if self._fitting:
            raise RuntimeError("Model.compile expects a model that is not being trained; got "
                               "called within fit. Call it before, or set what changes: "
                               "model.optimizer.learning_rate, for instance.")
        new_optimizer, ending = optimizers.get(optimizer), endings(self.module)
        new_loss = self._loss_for(loss, loss_weights, ending)
        check_endings(new_loss, ending)
        plain = named_metrics(metrics, new_loss, ending)
        weighted = named_metrics(weighted_metrics, new_loss, ending, beside=plain)
        steps = check_count("compile(steps_per_execution)", steps_per_execution, 1, "1 is usual.")
        dtype = check_precision(precision)
        check_flag("compile(jit_compile)", jit_compile, "Steps are compiled in fit alone.")
        compute = compute_copy(self.module, dtype)
        new_optimizer.claim(self)
        self.optimizer, self.loss, self.metrics = new_optimizer, new_loss, plain | weighted
        self.weighted_names, self.steps_per_execution = tuple(weighted), steps
        self.compile_arguments, self.precision, self._compute = given, dtype, compute
        self.jit = Jit() if jit_compile else None
        self._scores, self._answered_names, self.compiled = None, None, True
        self._prepare()

    def _loss_for(self, loss: Any, loss_weights: Any, ending: Any) -> Loss:
        if loss is not None:
            outputs = known_outputs(self.module, ending)
            return for_outputs(loss, loss_weights, outputs, losses.get)
        if not self.trains_by_itself:
            raise TypeError("compile(loss) expects a loss to train with; got None. Write "
                            "loss='mse', for instance; None is for a class with a train_step that "
                            "has losses of its own.")
        if loss_weights is not None:
            raise ValueError(f"compile(loss_weights) expects a loss to weigh; got {loss_weights!r} "
                             "and loss=None. Leave it out.")
        return NoLoss()

    @property
    def built(self) -> bool:
        """Whether the parameters exist."""
        return self.module.built

    @property
    def metrics_names(self) -> list[str]:
        """The keys of `evaluate(return_dict=True)`, known once the model is compiled.

        Where `test_step` is the user's own, they are what it answered when it last ran.
        """
        if self.tests_by_itself and self._answered_names:
            return list(self._answered_names)
        return ["loss", *(self.loss.value_names if self.compiled else ()), *self.metrics]

    def _log_names(self, validates: bool) -> list[str]:
        names = self.metrics_names
        return names + [f"val_{name}" for name in names] if validates else names

    def build(self, shape: Any) -> Any:
        """Makes the parameters for samples of this shape; the first fit does it by itself.

        Returns: the shape of the output, without the batch axis.
        """
        with self._undone_on_error():
            output = self.module.build(tuple(shape) if isinstance(shape, list) else shape)
            if self.compiled:
                self._check_outputs(output)
            self._prepare()
        return output

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"Model.{method} expects a compiled model; got one without optimizer and loss. "
                "Call model.compile(optimizer='sgd', loss='mse') first."
            )

    def _make_ready(self, who: str, data: Source, validation: Source | None = None) -> Any:
        """Builds what is not built, checks the data against it, and decides "accuracy".

        Returns: the shape of the output, without the batch axis.
        """
        if who != "predict" and isinstance(self.loss, NoLoss) and not self.tests_by_itself:
            self._require_test_step(who, validation)
        for source in (data, validation):
            if source is not None:
                x, y, sample_weight = source.first()
                output = self.module.build(sample_shapes(x))
                wants_targets = who != "predict" and (not self.trains_by_itself or self.metrics)
                if wants_targets:
                    require_targets(source)
                    self._check_targets(mapped_shapes(partial(add, (batch_size(x),)), output), y)
                    check_weights(self.loss, sample_weight, batch_size(x))
        if who != "predict" and self._scores is None:  # else targets decide, when they come
            self._scores = Scores({}, self.loss.value_names)
        self._prepare()
        if who == "fit" and not self.trains_by_itself:
            self._tell_if_nothing_trains()
        return output

    def _require_test_step(self, who: str, validation: Source | None) -> None:
        if who == "evaluate" or validation is not None:
            raise RuntimeError(f"Model.{who} expects a loss, or a test_step, to evaluate with; got "
                               f"compiled with loss=None. Write {type(self).__name__}.test_step, "
                               "which answers as train_step does.")

    def _tell_if_nothing_trains(self) -> None:
        """Once a fit: a mistake as a rule, but one may want to see the loss alone."""
        if not any(parameter.trainable for parameter in self.module.parameters()):
            notice("fit: the model has no trainable parameters, so nothing will be learned. Set "
                   "trainable = True, for all of it or for a layer.")

    def _check_outputs(self, y_pred: Any) -> None:
        """Refuses a model whose outputs are others than those that the loss is for."""
        if isinstance(self.loss, OutputLosses):
            self.loss.check_outputs(y_pred)
        else:
            self._require_single("outputs", y_pred)

    def _require_single(self, what: str, tree: Any) -> None:
        keys = keys_of(tree)
        if keys is not None and not isinstance(self.loss, OutputLosses | NoLoss):
            raise ValueError(f"compile(loss) expects a loss for each of several {what}; got "
                             f"{self.loss!r} for {keys}. Write them in a list or dict.")

    def _check_targets(self, y_pred: Any, y: Any) -> None:
        self._check_outputs(y_pred)
        self._require_single("targets", y)
        self.loss.check_targets(y_pred, y)
        check_classes(endings(self.module))
        if self._scores is None:
            decided = {name: metric.decided(y) for name, metric in self.metrics.items()}
            self.metrics = decided
            self._scores = Scores(decided, self.loss.value_names, self.weighted_names)
        for metric in self.scores.metrics.values():
            metric.check_shapes(y_pred, mapped(lambda part: tuple(part.shape), y))

    def _prepare(self) -> None:
        """Moves the parameters to the device and into the optimizer's flat vectors, once."""
        if not self.built:
            return
        if all(parameter.flat is None for parameter in self.module.parameters()):
            self.module.to(self.device)
        if self.compiled and not self.optimizer.built:
            self.optimizer.build(self.module.parameters())
        if self._compute is None:
            self._compute = compute_copy(self.module, self.precision)

    def _dtype(self) -> torch.dtype:
        """The type of the parameters, which floats in the data are cast to."""
        kinds = (parameter.data.dtype for parameter in self.module.parameters())
        return next(kinds, torch.get_default_dtype())

    def _placed(self, data: Source) -> Source:
        if self.group is not None:
            data = data.shared(self.group, self.reads_whole)
        return data.on(self.device, self._dtype())

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Leaves the model as it was, unbuilt if it was, when data or callbacks are refused."""
        parts = [self, *([self.optimizer] if self.compiled else []), *self.module.modules()]
        before = [(part, dict(vars(part))) for part in parts]
        try:
            yield
        except BaseException:
            for part, attributes in before:
                vars(part).clear()
                vars(part).update(attributes)
            raise
