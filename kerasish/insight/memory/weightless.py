"""A model without its numbers: its shapes, which are all that memory depends on."""

import copy
import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

from kerasish.devices import standing_for
from kerasish.parameter import KEPT, Parameter
from kerasish.random import drawing_from, global_states, set_global_states

_APART = (type, ModuleType, FunctionType, BuiltinFunctionType)
"""What a copy shares with the original."""


@contextmanager
def weightless(model: Any) -> Iterator[Any]:
    """A copy of a model on the meta device: it can do all that the model can, and computes nothing.

    No number of the model is copied, so it costs next to nothing however large it is. Inside the
    block all new tensors are on the meta device too, and nothing is left of it afterwards.
    """
    memo: dict[int, Any] = {}
    for tensor in _tensors_of(model):
        if isinstance(tensor, Parameter):
            memo[id(tensor)] = _weightless_parameter(tensor)
        else:
            memo[id(tensor)] = torch.empty_like(tensor, device="meta")
    states = global_states()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.device("meta"))
            stack.enter_context(standing_for(model.device.type))
            stack.enter_context(drawing_from(None))
            twin = copy.deepcopy(model, memo)
            twin.device = torch.device("meta")
            yield twin
    finally:
        set_global_states(states)


def _tensors_of(root: Any) -> Iterator[Any]:
    """All parameters, and all tensors besides, that a copy of an object would be made of."""
    seen: dict[int, Any] = {}
    rest = [root]
    while rest:
        each = rest.pop()
        if id(each) in seen or isinstance(each, _APART):
            continue
        seen[id(each)] = each
        if isinstance(each, Tensor | Parameter):
            yield each
        else:
            rest += gc.get_referents(each)


def _weightless_parameter(parameter: Parameter) -> Parameter:
    twin = Parameter(torch.empty_like(parameter.data, device="meta"), parameter.trainable,
                     parameter.decay)
    for name in KEPT:
        setattr(twin, name, getattr(parameter, name))
    return twin
