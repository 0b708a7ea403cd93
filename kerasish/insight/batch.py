"""One batch, as the tools that look at a single step take it."""

from typing import Any

from kerasish.compiling import Compilable
from kerasish.losses.several import NoLoss
from kerasish.plan import one_batch
from kerasish.stepping import Outcome


def require_model(who: str, model: Any) -> None:
    """Refuses what is no compiled model, in the name of a function that is given one.

    Raises: TypeError for what is no Model; RuntimeError before compile.
    """
    if not isinstance(model, Compilable):
        shape = getattr(model, "shape", None)
        of_shape = "" if shape is None else f" of shape {tuple(shape)}"
        raise TypeError(f"{who}(model) expects a Model; got a {type(model).__name__}{of_shape}. "
                        f"Write {who}(model, x, y).")
    if not model.compiled:
        raise RuntimeError(
            f"{who}(model) expects a compiled model; got one without optimizer and loss. "
            "Call model.compile(optimizer='sgd', loss='mse') first.")


def require_loss(who: str, model: Any) -> None:
    """Refuses a model whose loss only its own `train_step` knows, in the name of who asks for it.

    Raises: RuntimeError.
    """
    if model.compiled and isinstance(model.loss, NoLoss):
        raise RuntimeError(
            f"{who} expects a model compiled with a loss; got one with loss=None, whose train_step "
            "alone knows what it trains on. Give compile the loss that is meant, loss='mse' for "
            "instance: train_step need not use it.")


def ready_batch(model: Any, who: str, x: Any, y: Any, sample_weight: Any = None) -> Any:
    """Builds a model for a batch, if it is not built, and brings the batch to it.

    Raises: RuntimeError before compile; TypeError or ValueError for data that do not fit.

    Args:
        model: a compiled one; it may be a twin.
        who: the method that asks, "check" for instance.
        x: as `fit` takes it, but one batch alone.
        y: its targets.
        sample_weight: as many numbers, or None.

    Returns: (x, y, sample_weight) on the device of the model.
    """
    model._require_compiled(who)
    source = one_batch(who, x, y, sample_weight)
    model._make_ready(who, source)
    (batch,) = model._placed(source).epoch(0)
    return batch


def train_step(model: Any, batch: Any) -> Outcome:
    """Trains on a batch as the loop does, metrics and all; returns what `train_step` answered."""
    model.batch_data = batch
    outcome: Outcome = model.train_step(*batch)
    model.record(model.scores, outcome, *batch)
    return outcome
