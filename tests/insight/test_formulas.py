"""Every exported module and loss says what its backward computes, beside the method that does."""

import inspect

import pytest

from kerasish import containers, layers, losses
from kerasish.differentiable import Differentiable
from kerasish.insight.explaining.formulas import formulas_of
from kerasish.losses import Loss
from kerasish.module import Module
from tests.table import LOSSES, MODULES


def exported(place):
    return [each for each in (getattr(place, name) for name in place.__all__)
            if inspect.isclass(each) and issubclass(each, Differentiable)
            and each not in (Module, Loss)]


@pytest.mark.parametrize("cls", exported(layers) + exported(containers),
                         ids=lambda cls: cls.__name__)
def test_every_module_declares_its_dx(cls):
    formula = cls.backward_formula
    assert formula != Module.backward_formula and "\n" not in formula
    assert any(part.startswith("dx") and "=" in part for part in formula.split(",  "))


@pytest.mark.parametrize("cls", exported(losses), ids=lambda cls: cls.__name__)
def test_every_loss_declares_its_gradient(cls):
    formula = cls.backward_formula
    assert formula != Loss.backward_formula and "\n" not in formula
    assert any(part.startswith("dy_pred") and " = " in part for part in formula.split(",  "))


@pytest.mark.parametrize("row", [*MODULES, *LOSSES], ids=lambda row: row.id)
def test_both_formulas_are_believed(row):
    told = formulas_of(row.make())
    assert "forward(x) of" not in told.forward
    assert not any(" of " in part and "backward(dy) of" in part for part in told.backward)


@pytest.mark.parametrize("row", [row for row in MODULES if row.id.startswith("Linear")],
                         ids=lambda row: row.id)
def test_a_formula_names_no_parameter_that_there_is_not(row):
    module = row.built()
    told = formulas_of(module)
    assert (" + b" in told.forward) == (module.bias is not None)
    assert any(part.startswith("db") for part in told.backward) == (module.bias is not None)
