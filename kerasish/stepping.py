"""One step of training: forward, loss, backward, update. It says what each of them needs to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from kerasish.data import whole
from kerasish.distributed import Group
from kerasish.hooks import Hook
from kerasish.joint import jointly
from kerasish.losses import Loss
from kerasish.metrics import Scores
from kerasish.module import Module
from kerasish.optimizers import Optimizer
from kerasish.parameter import Parameter
from kerasish.precision import ComputeCopy
from kerasish.trees import batch_size, mapped

Outcome = tuple[Tensor, Any] | dict[str, Tensor]
"""What a step answers: its loss and predictions, or values by the names that logs show."""


class Stepper:
    """A module with a loss and an optimizer, and the step that trains it on one batch."""

    module: Module
    loss: Loss
    optimizer: Optimizer
    _skips_dx: bool

    batch = 0
    """The batch of the epoch that is being trained."""
    _batch_data: tuple[Any, Any, Any] | None = None
    batch_loss: Tensor | None = None
    """Its loss, before the update; a `train_step` of your own need not set it."""
    unwound = False
    """Whether the first step of this fit has left nothing saved; looked at once a fit."""
    _after_backward: tuple[Hook, ...] = ()
    _compute: ComputeCopy | None = None
    """What computes in the place of the module, where it is to be in a smaller type."""
    _penalized: list[Parameter]
    _penalties_at = -1
    _rows = 1
    group: Group | None = None
    """The processes that train together, each on rows of its own; None for one alone."""

    @property
    def is_first(self) -> bool:
        """Whether this process prints, and writes files: one that trains alone does."""
        return self.group is None or self.group.rank == 0

    @property
    def batch_data(self) -> tuple[Any, Any, Any] | None:
        """Its inputs, targets and sample weights: all rows of them, read if they are not here."""
        data: tuple[Any, Any, Any] | None = whole(self._batch_data)
        return data

    @batch_data.setter
    def batch_data(self, batch: tuple[Any, Any, Any] | None) -> None:
        self._batch_data = batch

    @property
    def reads_whole(self) -> bool:
        """Whether steps of the user's own see batches, whose x must then have all rows."""
        steps = ("train_step", "test_step", "predict_step", "forward")
        return any(getattr(type(self), name) is not getattr(Stepper, name) for name in steps)

    @property
    def trains_by_itself(self) -> bool:
        """Whether `train_step` is the user's own: what it trains on and logs is for it to say."""
        return type(self).train_step is not Stepper.train_step

    @property
    def tests_by_itself(self) -> bool:
        """Whether `test_step` is the user's own."""
        return type(self).test_step is not Stepper.test_step

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> Outcome:
        """One batch: forward, loss, backward, update. Override it for another kind of training.

        Returns: the loss before the update, a 0-dim tensor, and the predictions; or a dict of 0-dim
            tensors, "loss" among them, whose running means the logs are to show.
        """
        y_pred = self.forward(x)
        self.batch_loss = loss = self.objective(y_pred, y, sample_weight)
        self.backward(self.loss.backward())
        self.step()
        return loss, y_pred

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> Outcome:
        """One batch of evaluation, which changes nothing; answers as `train_step` does."""
        y_pred = self.forward(x)
        return self.objective(y_pred, y, sample_weight), y_pred

    def predict_step(self, x: Any) -> Any:
        """The outputs for one batch."""
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        """The module's outputs, computed in the precision that `compile` was told.

        Each process of a group computes those of its own rows, and has all of them afterwards.
        """
        module, group = self._compute or self.module, self.group
        if group is None:
            return module.forward(x)
        count = batch_size(x)
        own = group.rows(count)
        with jointly(group.add_up, group.size):
            y = module.forward(mapped(lambda part: part[own], x))
        return mapped(lambda part: group.gathered(part, count), y)

    def record(self, scores: Scores, outcome: Outcome, x: Any, y: Any, sample_weight: Any) -> None:
        """Takes what a step answered into the running means.

        Raises: TypeError or ValueError for another answer than that of `train_step`.
        """
        if type(outcome) is tuple:
            scores.update(*outcome, y, sample_weight, self.loss.values)
        else:
            self._check_answer(outcome)
            scores.add(outcome, batch_size(x))  # type: ignore[arg-type]

    def _check_answer(self, outcome: Any) -> None:
        who = f"a step of {type(self).__name__}"
        if not isinstance(outcome, dict):
            raise TypeError(f"{who} expects to answer a tuple (loss, predictions) or a dict; got "
                            f"{outcome!r}. Return one of them.")
        if "loss" not in outcome:
            raise ValueError(f"{who} expects to answer a dict with 'loss' in it; got "
                             f"{list(outcome)}. Add it: logs begin with it.")
        for name, value in outcome.items():
            if not isinstance(value, Tensor) or value.dim():
                raise TypeError(f"{who} expects to answer 0-dim tensors; got {value!r} for "
                                f"{name!r}. Take the mean of several, and torch.tensor of a "
                                "number.")

    def objective(self, y_pred: Any, y: Any, sample_weight: Any = None) -> Tensor:
        """The loss, and the penalties of regularizers, whose gradients the optimizer adds."""
        if self._penalties_at != Parameter.revisions:
            self._penalized = [p for p in self.module.parameters() if p.regularizer and p.trainable]
            self._penalties_at = Parameter.revisions
        loss = self.loss.forward(y_pred, y, sample_weight)
        for parameter in self._penalized:
            loss = loss + parameter.regularizer.penalty(parameter.data)
        return loss

    def backward(self, dy: Any) -> None:
        """Adds the gradients of one batch into the parameters, going no further than needed."""
        if self.optimizer.accumulates:
            self._rows = rows = batch_size(dy)
            dy = mapped(lambda part: part * rows, dy)
        group = self.group
        if group is None:
            self._go_back(dy)
            return
        own = group.rows(batch_size(dy))
        with jointly(group.add_up, group.size):
            self._go_back(mapped(lambda part: part[own], dy))

    def _go_back(self, dy: Any) -> None:
        module: Any = self._compute or self.module
        if self._skips_dx:
            module.backward(dy, need_dx=False)
        else:
            module.backward(dy)

    def step(self) -> None:
        """Updates the parameters from their gradients, and clears these."""
        if self._after_backward:
            if self.optimizer.exchange is not None and not self.optimizer.accumulates:
                self.optimizer.exchange.add_up()  # hooks look at the sums of all processes
            for hook in self._after_backward:
                hook(self.batch)
        if self.optimizer.step(self._rows):
            self.optimizer.zero_grad()

    def require_unwound(self) -> None:
        """Refuses a module whose backward did not take back all that its forward saved.

        Raises: RuntimeError naming it.
        """
        self.unwound = True
        for path, part in self.module.named_modules():
            if part._saved:
                raise RuntimeError(
                    f"{part!r} at {path!r} expects one backward for each forward; got "
                    f"{len(part._saved)} forward calls that no backward went back through. Take "
                    "saved_tensors() once in backward, and go back through each use of a module."
                )

    @contextmanager
    def cleared_after(self, gathers: bool = False) -> Iterator[None]:
        """Leaves no gradient, saved tensor or hook behind, also when a step fails half-way.

        With gathers=True, micro-batches may wait for an update in a later call.
        """
        waits = gathers and self.optimizer.accumulates
        if not waits:
            self._forget()
        try:
            yield
        except BaseException:
            waits = False
            raise
        finally:
            self._after_backward, self._batch_data, self.batch_loss = (), None, None
            if not waits:
                self._forget()

    def _forget(self) -> None:
        self.module.zero_grad()
        self.optimizer.zero_grad()
        self.loss.forget()
        if self._compute is not None:
            self._compute.forget()
