"""From a model to its memory plan."""

from functools import partial
from operator import add
from typing import Any

from torch import Tensor

from kerasish.checks import check_count, check_flag
from kerasish.insight.live import id_of
from kerasish.insight.memory.batches import Samples
from kerasish.insight.memory.rehearsal import Rehearsal, named
from kerasish.insight.memory.report import MemoryPlan, Row
from kerasish.insight.memory.weightless import weightless
from kerasish.metrics import Scores
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import values
from kerasish.trees import leaves, mapped_shapes, shape_of


def plan(
    model: Any,
    batch_size: int | None = None,
    x: Any = None,
    y: Any = None,
    sample_weight: Any = None,
    *,
    input_shape: Any = None,
    training: bool = True,
    budget: Any = None,
) -> MemoryPlan:
    """The plan of `model.plan()`, which describes the arguments."""
    _refuse_data(batch_size)
    check_flag("plan(training)", training, "False is a prediction.")
    if training:
        model._require_compiled("plan")
    if batch_size is not None and budget is not None:
        raise ValueError(f"plan(batch_size, budget) expects one of them; got {batch_size!r} and "
                         f"{budget!r}. Leave batch_size out: it is what the budget decides.")
    size = check_count("plan(batch_size)", 32 if batch_size is None else batch_size, 1)
    samples = Samples(x, y, sample_weight, input_shape)
    if samples.shape is None:
        if not model.built:
            raise ValueError(f"plan(input_shape) expects the shape of a sample for {model!r}, "
                             "which is not built; got None. Write input_shape=(784,), say, give x, "
                             "or call model.build(shape) first.")
        samples.shape = model.module.input_shape
    first = _planned(model, samples, y, training, size)
    if budget is None:
        return first
    return _planned(model, samples, y, training, first._largest("plan(budget)", budget))


def _refuse_data(batch_size: Any) -> None:
    """The first argument is no x, as it is elsewhere.

    Raises: TypeError for what looks like samples, without showing all of them.
    """
    shape = getattr(batch_size, "shape", None)
    if shape or isinstance(batch_size, list | tuple | dict):
        of_shape = f" of shape {tuple(shape)}" if shape else ""
        raise TypeError(f"plan(batch_size) expects a whole number first; got a "
                        f"{type(batch_size).__name__}{of_shape}. Write plan(32, x, y).")


def _planned(model: Any, samples: Samples, y: Any, training: bool, size: int) -> MemoryPlan:
    with weightless(model) as twin:
        output = twin.module.build(samples.shape)
        twin._prepare()
        batch = samples.batch(twin, size)
        if training:
            _check_targets(twin, mapped_shapes(partial(add, (size,)), output), batch[1])
            twin._scores = _scores(twin, y)
        gone = Rehearsal(twin, batch, training, model.device.type).run()
        sizes = _sizes(twin, batch, gone)
        rows = [_row(path, part, gone) for path, part in twin.module.named_modules()
                if _has_row(path, part, gone)]
        least = max(part.least_batch if training and part.trainable else 1
                    for part in twin.module.modules())
    return MemoryPlan(size, training, sizes, gone.live.peak.where, rows, least,
                      lambda other: _planned(model, samples, y, training, other))


def _check_targets(model: Any, y_pred: Any, y: Any) -> None:
    """Refuses targets of other shapes than a loss takes, and of others than all outputs have."""
    if not model.trains_by_itself:
        model._require_single("targets", y)
        model.loss.check_shapes(y_pred, shape_of(y))


def _scores(model: Any, y: Any) -> Scores:
    """The metrics with sums of their own; "accuracy" as targets decide it, if there are any."""
    if model._scores is not None:
        fresh: Scores = model._scores.fresh()
        return fresh
    metrics = {name: metric if y is None else metric.decided(y)
               for name, metric in model.metrics.items()}
    return Scores(metrics, model.loss.value_names, model.weighted_names)


def _sizes(model: Any, batch: Any, gone: Rehearsal) -> dict[str, int]:
    """The bytes of each kind."""
    parameters = list(model.module.parameters())
    slots = [slot for slots in model.optimizer.state.values() for slot in slots.values()] if (
        model.compiled) else []
    return {
        "parameters": _bytes(parameter.data for parameter in parameters),
        "gradients": _bytes(parameter.grad for parameter in parameters),
        "optimizer": _bytes(slots),
        "buffers": _bytes(model.module.buffers()),
        "batch": _bytes(leaves(batch)),
        "kept": gone.kept,
        "saved": sum(gone.saved.values()) if gone.training else 0,
        "activations": gone.live.peak.size - gone.before - gone.kept,
    }


def _bytes(tensors: Any) -> int:
    """Of the memories that tensors lie in, each once."""
    found: dict[int, Tensor] = {id_of(tensor): tensor for tensor in tensors}
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


def _has_row(path: str, module: Module, gone: Rehearsal) -> bool:
    """A container has none, unless it holds something itself."""
    is_leaf = module.built and next(module.children(), None) is None
    return is_leaf or any(values(module, Parameter)) or gone.saved.get(path, 0) > 0


def _row(path: str, module: Module, gone: Rehearsal) -> Row:
    own = sum(parameter.data.nbytes for _, parameter in values(module, Parameter))
    usage = gone.usage(path)
    shape = module.output_shape if module.built else ()
    return Row(named(path, module), shape, own, gone.saved.get(path, 0),
               usage.workspace, usage.forward, usage.backward)
