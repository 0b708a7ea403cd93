"""Any constructor call of torch.nn works: the same arguments, in the same order."""

import inspect
from typing import Any

import pytest
from torch import nn

from kerasish import layers

SHARED = [name for name in layers.__all__ if hasattr(nn, name)]
RECURRENT = {name: list(inspect.signature(nn.RNNBase).parameters.values())[1:]
             for name in ("RNN", "LSTM", "GRU")}  # torch's own take *args
STATED = {"batch_first": True, "activation": "relu"}  # the function that this names
"""Defaults that differ from torch's."""

LEFT_OUT = {"min_value", "max_value"}
"""Names that torch itself calls deprecated."""


def arguments(name: str) -> dict[str, Any]:
    """Torch's arguments in order with their defaults; empty where one is required."""
    if name in RECURRENT:
        found = {each.name: each.default for each in RECURRENT[name]}
        if name == "RNN":  # its fourth argument is one that the others do not have
            items = list(found.items())
            found = dict([*items[:3], ("nonlinearity", "tanh"), *items[3:]])
        return {argument: default for argument, default in found.items()
                if argument != "proj_size" or name == "LSTM"}
    parameters = inspect.signature(getattr(nn, name)).parameters.values()
    return {each.name: each.default for each in parameters
            if each.kind is each.POSITIONAL_OR_KEYWORD and each.name not in LEFT_OUT
            and not each.name.startswith("_")}


@pytest.mark.parametrize("name", SHARED)
def test_arguments_and_defaults_are_those_of_torch(name: str) -> None:
    ours = inspect.signature(getattr(layers, name)).parameters
    theirs = arguments(name)
    positional = [each.name for each in ours.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional[: len(theirs)] == list(theirs), "torch's come first, in its order"
    for argument, default in theirs.items():
        got = ours[argument].default
        if default is inspect.Parameter.empty:
            assert got in (None, inspect.Parameter.empty), f"{argument} may be inferred or not"
        else:
            assert got == STATED.get(argument, default), argument


def test_keywords_that_torch_asks_for_by_name_are_taken() -> None:
    for name in SHARED:
        ours = inspect.signature(getattr(layers, name)).parameters
        theirs = inspect.signature(getattr(nn, name)).parameters.values()
        assert {each.name for each in theirs if each.kind is each.KEYWORD_ONLY} <= set(ours), name


def test_most_layers_have_a_namesake_in_torch() -> None:
    assert set(layers.__all__) - set(SHARED) == {
        "GaussianNoise", "GlobalAvgPool", "GlobalMaxPool", "Lambda", "Permute",
        "PositionalEncoding", "Reshape"}
