"""One step of training in a file: all that its numbers depend on, so that it can be run again."""

import copy
from collections.abc import Mapping
from typing import Any

import torch

from kerasish.checks import check_count
from kerasish.insight.batch import ready_batch
from kerasish.module import Module
from kerasish.paths import state
from kerasish.random import derived_generator, drawing_from, set_global_states
from kerasish.saving import ModelFileError, pack, read_file, unpack, write_file
from kerasish.saving.errors import FilePath
from kerasish.saving.nets import differences
from kerasish.saving.objects import refused
from kerasish.trees import sample_shapes

FORMAT = 1
"""What a step is laid out by; it goes up when the layout changes."""

Step = dict[str, Any]
"""Plain values and tensors: "epoch" and "batch", counted from 0 as in hooks; "step", the batches
trained in all fits with this one; "class", the model's; "trainers", weights, buffers and slots from
before; "own", the model's `own_state`; "data", the batch; "device", and "noise" and "random", the
states of the generators, None where nothing is drawn; "first", what was found when it was saved."""

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "format": int, "class": str, "epoch": int, "batch": int, "step": int, "trainers": dict,
    "own": dict, "data": tuple, "device": str, "noise": torch.Tensor,
    "random": (dict, type(None)), "first": (tuple, type(None)),
}  # fmt: skip
_FIX = "Make the model as it was in that step, and compile it so."
_AGAIN = "Save the step again, or take a file whose origin you know."


def write_step(path: FilePath, step: Step) -> None:
    """Writes a step; the file is whole or not there.

    Raises: TypeError for what a file cannot hold; OSError as `write_file`.
    """
    configuration, tensors = pack(step)
    write_file(path, "step", {"step": configuration}, tensors)


def read_step(path: FilePath) -> Step:
    """Reads a step, and checks of what kinds its parts are.

    Raises: ModelFileError; OSError if it cannot be read.
    """
    stored = read_file(path, ("step",))
    with refused(stored.path, "the step"):
        if stored.configuration.keys() != {"step"}:
            raise ValueError("expects a step and nothing else")
        step = unpack(stored.configuration["step"], stored.tensors())
        if not isinstance(step, dict) or step.keys() != _KINDS.keys():
            raise ValueError(f"expects {', '.join(_KINDS)}")
        for name, kind in _KINDS.items():
            if not isinstance(step[name], kind):
                raise TypeError(f"expects another kind of {name}")
        if step["format"] != FORMAT:
            raise ValueError(f"expects the form {FORMAT}, not that of another version of kerasish")
        for name in ("epoch", "batch", "step"):
            check_count(name, step[name])
        if len(step["data"]) != 3 or step["data"][0] is None:
            raise ValueError("expects a batch of inputs, targets and sample weights")
        if step["first"] is not None and list(map(type, step["first"])) != [str, str]:
            raise TypeError("expects a place and a direction as what was found first")
    return step


def load_step(model: Any, step: Step, path: FilePath) -> tuple[Any, Any, Any]:
    """Puts a twin of a model where it was before the step.

    Raises: ModelFileError naming what differs; RuntimeError before compile.

    Returns: the batch, on the model's device.
    """
    model._require_compiled("replay")
    if step["class"] != type(model).__name__:
        raise ModelFileError(path, "it", f"is a step of the class {step['class'][:80]!r}; got "
                             f"{type(model).__name__!r}", _FIX)
    with refused(str(path), "the step"):
        kept, (x, y, sample_weight) = step["trainers"], step["data"]
        for trainer in kept.values():
            _check_trainer(trainer)
        _require_same_net(path, model.module, kept[""]["modules"]["module"]["state"], x)
        batch = ready_batch(model, "replay", x, y, sample_weight)
        for what, was, now in model._facts(kept):
            if was != now:
                raise ModelFileError(path, f"its {what}", f"are {was!r}; the model's {now!r}",
                                     _FIX)
        model._load_trainers(kept)
        model.load_own_state(step["own"])
    return batch  # type: ignore[no-any-return]


def _check_trainer(trainer: Any) -> None:
    """Refuses what is only compared or put in place later on, if it is not of its kind."""
    check_count("batches_trained", trainer["batches_trained"])
    for module in trainer["modules"].values():
        if not isinstance(module["frozen"], list) or not all(
                isinstance(path, str) for path in module["frozen"]):
            raise TypeError("expects the paths of what is frozen")


def _require_same_net(path: FilePath, module: Module, kept: Any, x: Any) -> None:
    """Compares a net with the state in a file; one that is not built is tried without numbers."""
    if not module.built:
        with torch.device("meta"), drawing_from(None):
            module = copy.deepcopy(module)
            module.build(sample_shapes(x))
    wanted = {name: (each.dtype, tuple(each.shape)) for name, each in state(module)}
    if lines := differences(wanted, kept, casts=True):
        raise ModelFileError(path, "its tensors", f"do not fit the model:\n{lines}\n", _FIX)


def noise_of(step: Step, device: torch.device, path: FilePath) -> tuple[torch.Generator, bool]:
    """The generator of the noise as it was, and the global ones put there.

    Of another kind of device the generator is another one.

    Raises: ModelFileError for states that are none.

    Returns: the generator, and whether it gives the same numbers.
    """
    same, generator = step["device"] == device.type, derived_generator(0, device=device)
    with refused(str(path), "a generator's state"):
        if same:
            generator.set_state(step["noise"])
        if step["random"] is not None:
            set_global_states(step["random"])
    return generator, same
