"""To torch and back: the same weights, names and numbers, and what cannot go."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx.reference
import pytest
import torch
from torch import nn

from kerasish import Model, Module
from kerasish.containers import Graph, Input, Sequential
from kerasish.export import from_torch, to_onnx, to_torch
from kerasish.export.agreement import compare
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.trees import leaves
from tests.table import MODULES, Row

every_row = pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@every_row
def test_every_row_of_the_table_goes_to_torch(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    module = row.built()
    before = copy.deepcopy(module.state_dict())
    twin = to_torch(module, sample=row.x(3))
    assert "gradients agree; the largest difference" in capsys.readouterr().out
    assert list(twin.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_model_goes_with_its_mode_and_type() -> None:
    model = Model(Linear(4), Dropout(0.5), Tanh(), device="cpu")
    model.build((3,))
    twin = to_torch(model)
    x = torch.randn(2, 3)
    assert not twin.training and torch.allclose(twin(x), torch.from_numpy(model.predict(x)))
    assert [type(part) for part in twin] == [nn.Linear, nn.Dropout, nn.Tanh]
    double = Linear(3, 2)
    double.build((3,))
    assert to_torch(double.to(torch.float64)).weight.dtype == torch.float64


def test_a_shared_module_stays_shared() -> None:
    shared = Linear(3)
    net = Sequential(shared, Tanh(), shared)
    net.build((3,))
    twin = to_torch(net)
    assert twin[0] is twin[2]
    assert (back := from_torch(twin, (3,)))[0] is back[2]


def test_a_twin_can_be_pickled() -> None:
    x = Input((3,))
    net = Graph({"x": x}, (Linear(2)(x), Tanh()(x)))
    net.build({"x": (3,)})
    twin = to_torch(net)
    batch = {"x": torch.randn(2, 3)}
    again = pickle.loads(pickle.dumps(twin))
    assert all(map(torch.equal, again(batch), twin(batch)))


class Twice(Module):
    formula = "y = 2 x"

    def forward(self, x):
        self.save_for_backward()
        return 2 * x

    def backward(self, dy):
        self.saved_tensors()
        return 2 * dy


class OwnLinear(Linear):
    """A subclass may do anything."""


@pytest.mark.parametrize("own", [Twice, lambda: OwnLinear(2)])
def test_a_module_of_ones_own_has_no_twin(own) -> None:
    net = Sequential(Linear(2), own())
    net.build((2,))
    with pytest.raises(TypeError, match=r"modules with a twin in torch; got (Twice\(\)|OwnLinear)"):
        to_torch(net)


def test_a_wrong_backward_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Sequential(Linear(2), Tanh())
    net.build((2,))
    monkeypatch.setattr(Tanh, "backward", lambda self, dy: dy * (1 - self.saved_tensors()[0]))
    net.layers = (net.layers[0], Sequential(net.layers[1]))  # so that it is not fused
    with pytest.raises(ArithmeticError, match="expects equal numbers; got the gradient of"):
        compare(net, to_torch(net, check=False))


def test_what_is_no_built_model_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expects a model that is built"):
        to_torch(Linear(3))
    with pytest.raises(TypeError, match="expects a Model or a Module; got Linear"):
        to_torch(nn.Linear(2, 3))


# ---- from torch -----------------------------------------------------------------------------


@every_row
def test_a_namesake_comes_back_from_torch(row: Row) -> None:
    module = row.built()
    twin = to_torch(module, check=False)
    back = from_torch(twin.eval(), row.shape)
    x = row.x(3)
    assert type(back) is type(module)
    y, expected = leaves(back(x)), leaves(module.eval()(x))
    assert all(map(torch.equal, y, expected))
    assert all(torch.equal(value, back.state_dict()[name])
               for name, value in module.state_dict().items())


def test_weights_wait_until_the_net_is_built() -> None:
    theirs = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    net = from_torch(theirs)
    assert not net.built
    x = torch.randn(5, 3)
    expected = theirs(x)
    with torch.no_grad():
        theirs[0].weight.zero_()  # what is done to the other later does not reach this one
    torch.testing.assert_close(net(x), expected)
    model = Model(from_torch(theirs), device="cpu")
    model.compile("adam", "mse")
    model.fit(x, torch.zeros(5, 2), verbose=0)


def test_weights_for_other_sizes_are_refused_at_build() -> None:
    net = from_torch(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="expects 3 features"):
        net.build((2,))
    layer = Linear(3, 4)
    layer.load_when_built({"weight": torch.zeros(4, 3)})
    with pytest.raises(ValueError, match="'bias' is missing"):
        layer.build((3,))


@pytest.mark.parametrize(("theirs", "place"), [
    (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.PairwiseDistance())),
     "got PairwiseDistance() at '1.1'"),
    (nn.ModuleList([nn.Linear(2, 2)]), "ModuleList"),
])
def test_what_kerasish_has_not_is_named(theirs: nn.Module, place: str) -> None:
    with pytest.raises(TypeError, match="modules that kerasish has; got") as error:
        from_torch(theirs)
    assert place in str(error.value)


# ---- the package ----------------------------------------------------------------------------


def test_import_kerasish_imports_no_torch_twin() -> None:
    program = "import sys, kerasish; print('kerasish.export' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_a_relu_keeps_its_class() -> None:
    assert isinstance(from_torch(nn.ReLU(inplace=True)), ReLU)


# ---- ONNX -----------------------------------------------------------------------------------


@pytest.mark.long
def test_an_onnx_file_gives_the_same_numbers_for_any_number_of_samples(tmp_path: Path) -> None:
    model = Model(Linear(4), ReLU(), Dropout(0.5), Linear(2), device="cpu")
    model.build((3,))
    to_onnx(model, tmp_path / "net.onnx")
    session = onnx.reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    for rows in (1, 5):
        x = torch.randn(rows, 3).numpy()
        (y,) = session.run(None, {"x": x})
        np.testing.assert_allclose(y, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
