"""A net as settings and tensors, and back: tried without numbers first, then made."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.constraints import Constraint
from kerasish.module import Module
from kerasish.paths import joined, state
from kerasish.random import drawing_from
from kerasish.regularizers import Regularizer
from kerasish.saving.errors import ModelFileError
from kerasish.saving.extent import require_tensors
from kerasish.saving.format import Stored
from kerasish.saving.objects import AGAIN, decode, encode, refused

FOR_ALL = {"trainable": bool, "learning_rate_multiplier": float}
FOR_ONE: dict[str, Any] = {
    "trainable": bool, "decay": bool, "learning_rate_multiplier": float,
    "regularizer": Regularizer | None, "constraint": Constraint | None,
}  # fmt: skip
OTHERS = ("config:", "optimizer:")
"""How the names of a model file's tensors begin that are no state of the net: no name of an
attribute has such a sign."""


# ---- writing ------------------------------------------------------------------------------------


def encode_net(module: Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a net is made of and what was set on it afterwards, and its state under torch's names.

    Raises: as `encode`; ValueError for weights that wait for a build.
    """
    if any(part._awaiting is not None for part in module.modules()):
        raise ValueError("Model.save expects a net whose weights have a place; got some that wait "
                         "for it to be built. Call model.build(shape) first.")
    weights = module.state_dict()
    if odd := [name for name in weights if name.startswith(OTHERS)]:
        raise ValueError(f"Model.save expects names of parameters that begin otherwise than "
                         f"{' and '.join(OTHERS)}; got {odd[0]!r}. Rename the module's attribute.")
    dtypes = {each.dtype for each in weights.values() if each.is_floating_point()}
    settings = {
        "module": module,
        "shapes": dict(_built(module)),
        "dtype": dtypes.pop() if len(dtypes) == 1 else None,
        "modules": {path: dict(part._set_for_all) for path, part in module.named_modules()
                    if part._set_for_all},
        "parameters": {path: {name: getattr(each, name) for name in FOR_ONE}
                       for path, each in module.named_parameters()},
    }
    encoded, tensors = encode(settings, "net")
    return encoded, weights | tensors


def _built(module: Module, path: str = "") -> Iterator[tuple[str, Any]]:
    """The topmost modules that are built, with what they were built for."""
    if module.built:
        yield path, module.input_shape
    else:
        for name, child in module.named_children():
            yield from _built(child, joined(path, name))


# ---- reading ------------------------------------------------------------------------------------


def decode_net(stored: Stored, custom: Iterable[type]) -> Module:
    """The net of a file, with its weights, on the CPU.

    It is built without numbers first, and compared with what the file holds: what asks for more
    takes no memory. No random state is touched.

    Raises: ModelFileError for everything that does not fit.
    """
    tensors = stored.tensors()
    weights = {name: each for name, each in tensors.items() if not name.startswith(OTHERS)}
    with torch.device("meta"), drawing_from(None):
        _compare(stored.path, _build(stored, custom, tensors), weights)
    with torch.inference_mode(False), drawing_from(torch.Generator()):
        module = _build(stored, custom, tensors)
    with refused(stored.path, "the net"):
        module.load_state_dict(weights)
    return module


def _build(stored: Stored, custom: Iterable[type], tensors: Mapping[str, Tensor]) -> Module:
    """The net as its settings say, with values that mean nothing yet."""
    path = stored.path
    settings = decode(path, "net", stored.configuration.get("net"), tensors, custom)
    expected = {"module": Module, "shapes": dict, "dtype": torch.dtype | None, "modules": dict,
                "parameters": dict}
    if not isinstance(settings, dict) or settings.keys() != expected.keys() or not all(
            isinstance(settings[name], kind) for name, kind in expected.items()):
        raise ModelFileError(path, "the net", f"expects {', '.join(expected)}", AGAIN)
    module: Module = settings["module"]
    with refused(path, "the net"):
        parts = dict(module.named_modules())
        for name, values in settings["modules"].items():
            parts[name]._set_for_all = _checked(f"module {name!r}", values, FOR_ALL, some=True)
        require_tensors((parts[name] for name in settings["shapes"]),
                        sum(not name.startswith(OTHERS) for name in tensors))
        for name, shape in settings["shapes"].items():
            parts[name].build(shape)
        if settings["dtype"] is not None:
            module.to(dtype=settings["dtype"])
        parameters = dict(module.named_parameters())
        if parameters.keys() != settings["parameters"].keys():
            odd = min(parameters.keys() ^ settings["parameters"].keys(), key=str)
            raise ValueError(f"expects settings for each parameter; got others for {odd!r}")
        for name, values in settings["parameters"].items():
            for key, value in _checked(f"parameter {name!r}", values, FOR_ONE).items():
                setattr(parameters[name], key, value)
    return module


def _checked(
    who: str, values: Any, kinds: Mapping[str, Any], some: bool = False
) -> dict[str, Any]:
    """Settings by name, each of its kind; `some` of them, or all."""
    if not isinstance(values, dict) or not (
            values.keys() <= kinds.keys() if some else values.keys() == kinds.keys()):
        raise ValueError(f"expects {', '.join(kinds)} for {who}; got {values!r}")
    for name, value in values.items():
        if not isinstance(value, kinds[name]):
            raise TypeError(f"expects another kind of {name} for {who}; got {value!r}")
        if isinstance(value, float):
            check_number(f"{who}: {name}", value, 0)
    return values


def _compare(path: str, module: Module, weights: Mapping[str, Tensor]) -> None:
    """Compares a net with the tensors that are meant for it.

    Raises: ModelFileError naming the differences, as a table.
    """
    wanted = {name: (each.dtype, tuple(each.shape)) for name, each in state(module)}
    if lines := differences(wanted, weights):
        raise ModelFileError(path, "its tensors", f"do not fit its net:\n{lines}\n", AGAIN)


def differences(
    wanted: Mapping[str, tuple[torch.dtype, tuple[int, ...]]], given: Mapping[str, Tensor],
    casts: bool = False,
) -> str:
    """The tensors that differ, one a line, at most ten: name, what the net has, what came.

    Args:
        wanted: name → (dtype, shape).
        given: name → tensor.
        casts: whether another floating type will do.
    """
    got = {name: (each.dtype, tuple(each.shape)) for name, each in given.items()}
    odd = [name for name in {**wanted, **got} if wanted.get(name) != got.get(name) and not (
        casts and name in wanted and name in got and wanted[name][1] == got[name][1])]
    lines = [f"    {name[:80]}: {_shown(wanted.get(name))} in the net, {_shown(got.get(name))} in "
             "the file" for name in odd[:10]]
    return "\n".join(lines + [f"    and {len(odd) - 10} more"] * (len(odd) > 10))


def _shown(fact: tuple[torch.dtype, tuple[int, ...]] | None) -> str:
    return "nothing" if fact is None else f"{str(fact[0])[6:]} {fact[1]}"
