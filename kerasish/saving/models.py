"""Files of whole models: the net, how it was compiled, and where its training is."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from kerasish.checks import check_count
from kerasish.configured import Configured
from kerasish.losses import Loss
from kerasish.losses.several import OutputLosses
from kerasish.metrics import Metric
from kerasish.optimizers import Optimizer
from kerasish.saving.errors import FilePath, ModelFileError
from kerasish.saving.format import Stored, read_file, write_file
from kerasish.saving.known import with_custom
from kerasish.saving.nets import OTHERS, encode_net
from kerasish.saving.objects import AGAIN, decode, encode, refused
from kerasish.saving.settings import changed_settings
from kerasish.schedules import Schedule
from kerasish.trees import leaves

COUNTERS = ("epochs_trained", "batches_trained")
COMPILED: Mapping[str, tuple[type, ...]] = {
    "optimizer": (Optimizer,), "loss": (Loss,), "metrics": (Metric, Loss),
    "weighted_metrics": (Metric, Loss),
}  # fmt: skip
"""Which objects `compile` may be given as what."""
PLAIN = ("iterations", "gathered_batches", "gathered_rows", "learning_rate")


def write_model(path: FilePath, model: Any) -> None:
    """Writes a model with everything that further training depends on.

    Of processes that train together all encode it, since each may hold a share; the first writes.

    Raises: as `encode_model` and `write_file`, before anything is written.
    """
    encoded = encode_model(model)
    if model.is_first:
        write_file(path, "model", *encoded)


def encode_model(model: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration and the tensors of a model's file.

    Raises: as `encode_net`; ValueError for parameters called as what a file adds to them.
    """
    net, tensors = encode_net(model.module)
    training, slots = _encode_training(model) if model.compiled else (None, {})
    counters = {name: getattr(model, name) for name in COUNTERS}
    described = {"class": type(model).__name__, "net": net, "training": training, **counters}
    return described, tensors | slots


def _encode_training(model: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `compile` was given, and the optimizer's state: its numbers, and its tensors by path."""
    optimizer, slots = model.optimizer, {}
    rate = None if optimizer.schedule else optimizer.learning_rate
    numbers = {"learning_rate": rate, "schedule": optimizer.schedule}
    if optimizer.built:
        state = optimizer.state_dict()
        numbers |= {name: state[name] for name in PLAIN}
        paths = [path for path, _ in model.module.named_parameters()]
        kept = state["slots"] | ({"gradients": state["gradients"]} if state["gradients"] else {})
        slots = {f"optimizer:{slot}.{path}": value for slot, values in kept.items()
                 for path, value in zip(paths, values, strict=True)}
    arguments = {"compile": _compile_arguments(model), "optimizer": numbers}
    training, tensors = encode(arguments, "training")
    return training, tensors | slots


def _compile_arguments(model: Any) -> dict[str, Any]:
    """What `compile` was given, and instead of a name what it stands for if that was set since.

    Raises: ValueError for settings of what was made from one of several names.
    """
    arguments = dict(model.compile_arguments)
    given = {id(each) for value in arguments.values() for each in leaves(value)}
    several = isinstance(model.loss, OutputLosses)
    made = [("optimizer", model.optimizer), *(
        ("loss", each) for each in (
            [part.loss for part in model.loss.parts] if several else [model.loss])), *(
        ("metrics", getattr(each, "metric", each)) for each in model.metrics.values())]
    for place, value in made:
        if id(value) not in given and (changed := changed_settings(value)):
            if place == "metrics" or (place == "loss" and several):
                raise ValueError(f"Model.save expects {place} whose settings compile was given; "
                                 f"got {', '.join(changed)} of a {type(value).__name__} that was "
                                 f"set later. Give compile a {type(value).__name__} with that.")
            arguments[place] = value
    return arguments


def read_model(path: FilePath) -> Stored:
    """Reads the file of a model, and checks what it says besides the net and its training.

    Raises: ModelFileError; OSError if it cannot be read.
    """
    stored = read_file(path, ("model",))
    expected = {"class", "net", "training", *COUNTERS}
    if stored.configuration.keys() != expected:
        raise ModelFileError(stored.path, "the configuration", f"expects "
                             f"{', '.join(sorted(expected))}; got "
                             f"{', '.join(sorted(stored.configuration))[:200]}", AGAIN)
    with refused(stored.path, "the configuration"):
        for name in COUNTERS:
            check_count(name, stored.configuration[name])
    trains = stored.configuration["training"] is not None
    used = ("config:net.", *(("config:training.", "optimizer:") if trains else ()))
    _refuse_unused(stored, (name for name in stored.shapes
                            if name.startswith(OTHERS) and not name.startswith(used)))
    return stored


def require_classes(stored: Stored, custom: Iterable[type], compile: bool) -> None:
    """Refuses a file with classes of a caller's own that were not given, naming all of them.

    Raises: ModelFileError; as `with_custom`.
    """
    known, missing = with_custom(custom), dict[str, str]()
    for part in ("net", *(["training"] if compile else [])):
        table = stored.configuration[part]
        rows = table.get("objects") if isinstance(table, dict) else None
        names = [row["class"] for row in rows if isinstance(row, dict) and "class" in row] if (
            isinstance(rows, list)) else []
        missing |= {name: part for name in reversed(names) if isinstance(name, str)
                    and name.startswith("custom.") and name not in known and name not in missing}
    if missing:
        own = ", ".join(name.removeprefix("custom.")[:80] for name in [*missing][:10])
        alone = "" if "net" in missing.values() else ", or load the net alone with compile=False"
        raise ModelFileError(stored.path, "it", f"needs classes of your own: {own}",
                             f"Give them: Model.load(path, custom=({own},)){alone}.")


def require_steps(stored: Stored, cls: type) -> None:
    """Refuses the training of a class of models for one that may train otherwise.

    Raises: ModelFileError naming the class that saved it.
    """
    name = stored.configuration["class"]
    if name != "Model" and name not in [each.__name__ for each in cls.__mro__]:
        name = name[:80] if isinstance(name, str) else repr(name)[:80]
        raise ModelFileError(
            stored.path, "it", f"was saved by the class {name}, which may train in its own way",
            f"Call {name}.load(path), or load the net alone with compile=False.")


def _refuse_unused(stored: Stored, names: Iterable[str]) -> None:
    """Refuses a file with tensors that nothing of it uses.

    Raises: ModelFileError naming the first.
    """
    for name in names:
        raise ModelFileError(stored.path, f"tensor {name!r}", "is used by nothing in the file",
                             AGAIN)


def read_training(stored: Stored, custom: Iterable[type]) -> dict[str, Any] | None:
    """What `compile` was given, and the optimizer's state; None for a model that was not compiled.

    Raises: ModelFileError.
    """
    if stored.configuration["training"] is None:
        return None
    training = decode(stored.path, "training", stored.configuration["training"], stored.tensors(),
                      custom)
    if not isinstance(training, dict) or training.keys() != {"compile", "optimizer"} or not (
            isinstance(training["compile"], dict)):
        raise ModelFileError(stored.path, "the training", "expects compile and optimizer", AGAIN)
    return training


def resume_training(model: Any, stored: Stored, training: Mapping[str, Any]) -> None:
    """Compiles a model as it was, and puts its optimizer where it was.

    Raises: ModelFileError for what does not fit.
    """
    with refused(stored.path, "the training"):
        _check_compile(training["compile"])
        model.compile(**training["compile"])
        numbers, rates = training["optimizer"], {"learning_rate", "schedule"}
        if not isinstance(numbers, dict) or numbers.keys() not in ({*PLAIN, "schedule"}, rates) or (
                not isinstance(numbers["schedule"], Schedule | None)):
            raise ValueError(f"expects {', '.join(PLAIN)} and schedule for the optimizer")
        if numbers["schedule"] is not None:
            model.optimizer.learning_rate = numbers["schedule"]
        elif numbers["learning_rate"] is not None:
            model.optimizer.learning_rate = numbers["learning_rate"]
        if numbers.keys() == rates:  # it was saved before it was built
            _refuse_unused(stored, (name for name in stored.shapes if name.startswith(OTHERS[1])))
            return
        model.optimizer.load_state_dict({
            **{name: numbers[name] for name in PLAIN}, **_slots(model, stored, numbers)})


def _check_compile(arguments: Mapping[str, Any]) -> None:
    """Refuses what `compile` would take for a function because it can be called.

    Raises: TypeError.
    """
    for name, value in arguments.items():
        for part in leaves(value):
            if isinstance(part, Configured) and not isinstance(part, COMPILED.get(name, ())):
                raise TypeError(f"expects something else as {name}; got {part!r}")


def _slots(model: Any, stored: Stored, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's tensors, in the order of its parameters."""
    names = [*model.optimizer.kept, *(["gradients"] if numbers["gathered_batches"] else [])]
    paths = [path for path, _ in model.module.named_parameters()]
    kept = {slot: [f"optimizer:{slot}.{path}" for path in paths] for slot in names}
    every = {name for row in kept.values() for name in row}
    if odd := {name for name in stored.shapes if name.startswith(OTHERS[1])} - every:
        raise ValueError(f"expects the slots {', '.join(names)}; got tensor {min(odd)!r} besides")
    tensors = stored.tensors(every)
    values = {slot: [tensors[name] for name in row] for slot, row in kept.items()}
    return {"gradients": values.pop("gradients", []), "slots": values}
