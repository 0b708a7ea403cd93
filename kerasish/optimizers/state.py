"""What an optimizer keeps between steps, parameter by parameter, whatever vectors it lies in."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_count, check_rate
from kerasish.optimizers.flat import FlatParameters
from kerasish.parameter import Parameter

_COUNTS = ("iterations", "gathered_batches", "gathered_rows")
_KEYS = (*_COUNTS, "learning_rate", "slots", "gradients")


def state_of(optimizer: Any) -> dict[str, Any]:
    """Copies of all that later steps depend on besides the weights: plain values and tensors.

    Gradients are among it while micro-batches wait in them for an update; else there are none.
    """
    waiting = optimizer.parameters if optimizer.gathered_batches else []
    with torch.inference_mode(False):
        return {
            **{name: getattr(optimizer, name) for name in _COUNTS},
            "learning_rate": optimizer.learning_rate if optimizer.schedule is None else None,
            "slots": {slot: [_copy(place) for place in _places(optimizer, _whole(optimizer, slot))]
                      for slot in optimizer.kept},
            "gradients": [_total(optimizer, _copy(parameter.grad)) for parameter in waiting],
        }


def load_state(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Puts an optimizer where another one of the same kind was; all of it fits, or none is taken.

    Raises: ValueError naming what does not fit.
    """
    who = f"{type(optimizer).__name__}.load_state_dict(state)"
    _check_names(who, "entries", state, _KEYS)
    counts = {name: check_count(f"{who}[{name!r}]", state[name]) for name in _COUNTS}
    rate = state["learning_rate"]
    if rate is not None:
        rate = check_rate(f"{who}['learning_rate']", rate)
    elif optimizer.schedule is None:
        raise ValueError(f"{who} expects the learning rate of {optimizer!r}; got the state of one "
                         "with a schedule. Give this one the same schedule first.")
    _check_names(who, "slots", state["slots"], optimizer.kept)
    for slot, values in state["slots"].items():
        _check_values(who, repr(slot), values, optimizer.parameters)
    waiting = optimizer.parameters if counts["gathered_batches"] else []
    _check_values(who, "'gradients'", state["gradients"], waiting)

    for name, count in counts.items():
        setattr(optimizer, name, count)
    if rate is not None:
        optimizer.learning_rate = rate
    for slot, values in state["slots"].items():
        vectors = _whole(optimizer, slot)
        for place, value in zip(_places(optimizer, vectors), values, strict=True):
            place.copy_(value)
        for flat, vector in vectors.items():
            optimizer.state[flat][slot].copy_(vector[optimizer.shares[flat]])
    for parameter in optimizer.parameters:
        parameter.grad.zero_()
    if optimizer.exchange is not None and optimizer.exchange.rank:
        return  # what waits is the sum over all processes: the first one has it
    for parameter, value in zip(waiting, state["gradients"], strict=True):
        parameter.grad.copy_(value)


def _whole(optimizer: Any, slot: str) -> dict[FlatParameters, Tensor]:
    """The vectors of a slot, also where processes keep a share each."""
    for flat in optimizer.flats:
        if slot not in optimizer.state[flat]:
            raise ValueError(f"{type(optimizer).__name__}.state_dict() expects settings that it "
                             f"was built with; got one that needs {slot!r}, set after that. Give "
                             "it to a new optimizer, and compile with that one.")
    return {flat: optimizer.whole(flat, slot) for flat in optimizer.flats}


def _places(optimizer: Any, vectors: Mapping[FlatParameters, Tensor]) -> Iterator[Tensor]:
    """The part of these vectors that belongs to each parameter, in its shape."""
    for parameter in optimizer.parameters:
        yield parameter.flat.part(vectors[parameter.flat], parameter)


def _total(optimizer: Any, gradient: Tensor) -> Tensor:
    """A gradient of micro-batches, of which each process has those of its own rows."""
    return gradient if optimizer.exchange is None else optimizer.exchange.total(gradient)


def _copy(value: Tensor) -> Tensor:
    return value.clone(memory_format=torch.contiguous_format)


def _check_names(who: str, what: str, given: Any, known: tuple[str, ...]) -> None:
    names = list(given) if isinstance(given, Mapping) else given
    if not isinstance(given, Mapping) or set(given) != set(known):
        raise ValueError(f"{who} expects the {what} {', '.join(known) or '(none)'}; got {names!r}. "
                         "Load the state of an optimizer with the same settings.")


def _check_values(who: str, what: str, values: Any, parameters: list[Parameter]) -> None:
    """Refuses anything but a floating tensor for each parameter, in its shape."""
    wanted = [tuple(parameter.shape) for parameter in parameters]
    got = [tuple(value.shape) if isinstance(value, Tensor) and value.is_floating_point()
           else type(value).__name__ for value in values] if isinstance(values, list) else values
    if got != wanted:
        differing = next((i for i, pair in enumerate(zip(got, wanted, strict=False))
                          if pair[0] != pair[1]), None) if isinstance(got, list) else None
        found = (f"{got[differing]!r} for parameter {differing} of shape {wanted[differing]}"
                 if differing is not None else
                 f"{len(got)} of them" if isinstance(got, list) else type(got).__name__)
        raise ValueError(f"{who} expects {what} to be a floating tensor for each of "
                         f"{len(wanted)} parameters; got {found}. Build the same net first.")
