"""To torch and to ONNX: the same weights, names and numbers, and what cannot go."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import onnx.reference
import pytest
import torch
from torch import nn

from kerasish import Model, Module
from kerasish.containers import Concat, Graph, Input, Sequential
from kerasish.export import from_torch, to_onnx, to_torch, writing
from kerasish.export.agreement import compare, drawn
from kerasish.layers import (
    CELU,
    LSTM,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    InstanceNorm2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
)
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


def test_settings_go_as_they_are_now() -> None:
    model = Model(Linear(4, 3), Dropout(0.5), device="cpu")
    model.build((4,))
    model.module[1].p = 0.1
    assert to_torch(model)[1].p == 0.1


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


def test_a_wrong_backward_is_found_where_gradients_are_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = Linear.backward
    net = Sequential(*(layer for _ in range(8) for layer in (Linear(3), Sigmoid())), Linear(2))
    net.build((4,))

    def wrong(self, dy, need_dx=True):
        dx = right(self, dy, need_dx)
        if self.in_features == 4:
            self.weight.grad *= 1.001
        return dx

    twin = to_torch(net, check=False)
    assert compare(net, twin).share < 1e-12
    monkeypatch.setattr(Linear, "backward", wrong)
    with pytest.raises(ArithmeticError, match=r"got the gradient of 0\.weight"):
        compare(net, twin)


@pytest.mark.parametrize(("layers", "shape"), [
    ((lambda: Conv2d(4, kernel_size=3), InstanceNorm2d), (2, 8, 8)),
    ((lambda: Conv2d(4, kernel_size=3), BatchNorm2d), (2, 32, 32)),
    ((lambda: Linear(8), lambda: GroupNorm(8, 8, affine=False)), (3,)),
])
def test_a_bias_before_a_norm_is_no_alarm(layers, shape) -> None:
    """Its gradient is zero, and what is computed for it is rounding alone."""
    net = Sequential(*(layer() for layer in layers), ReLU())
    net.build(shape)
    to_torch(net)


@pytest.mark.parametrize("alpha", [0.3, 0.7, 1.3])
def test_celu_is_as_exact_as_all(alpha: float) -> None:
    net = CELU(alpha)
    net.build((50,))
    twin = to_torch(net)
    assert compare(net, twin).share < 1e-15
    assert torch.equal(twin(torch.tensor([-1e5, 0.0, 1e5])), torch.tensor([-alpha, 0.0, 1e5]))
    x = torch.tensor([-1e5, 0.0, 1e5], requires_grad=True)
    twin(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]


# ---- what is frozen -------------------------------------------------------------------------


def test_what_is_frozen_goes_frozen_and_is_checked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Sequential(Linear(3), Tanh(), Linear(2))
    net.build((2,))
    net[0].trainable = net[2].bias.trainable = False
    frozen = {name: not p.requires_grad for name, p in to_torch(net).named_parameters()}
    assert frozen == {"0.weight": True, "0.bias": True, "2.weight": False, "2.bias": True}
    assert not net[0].weight.trainable
    monkeypatch.setattr(Linear, "backward", lambda self, dy, need_dx=True: dy @ self.weight.data)
    with pytest.raises(ArithmeticError, match="got the gradient of"):
        to_torch(net[0])


def test_a_frozen_batch_norm_is_compared_as_it_runs() -> None:
    net = Sequential(Conv2d(3, kernel_size=3), BatchNorm2d(), ReLU())
    net.build((2, 6, 6))
    net(torch.randn(8, 2, 6, 6))  # statistics to tell the modes apart by
    net[1].trainable = False
    twin = to_torch(net)
    assert twin.training and not twin[1].training
    assert net.training and net[1].training
    twin[1].train()  # each batch by its own statistics: another net, unless it is evaluated
    assert not torch.allclose(twin(x := torch.randn(4, 2, 6, 6)), twin.eval()(x), atol=1e-3)


def test_what_is_no_built_model_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expects a model that is built"):
        to_torch(Linear(3))
    with pytest.raises(TypeError, match="expects a Model or a Module; got Linear"):
        to_torch(nn.Linear(2, 3))


# ---- the package ----------------------------------------------------------------------------


def test_import_kerasish_imports_no_torch_twin() -> None:
    program = "import sys, kerasish; print('kerasish.export' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# ---- ONNX -----------------------------------------------------------------------------------


def values_of(path: Path, given: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    session = onnx.reference.ReferenceEvaluator(str(path))
    return [torch.from_numpy(y) for y in session.run(
        None, {name: x.numpy() for name, x in given.items()})]


@pytest.mark.long
@pytest.mark.parametrize(("net", "shape"), [
    (lambda: [Linear(4), ReLU(), Dropout(0.5), Linear(2)], (3,)),
    (lambda: [Conv2d(4, kernel_size=3), BatchNorm2d(), CELU(0.7), MaxPool2d(2), Flatten(),
              Linear(3)], (2, 8, 8)),
    (lambda: [Embedding(9, 5), LSTM(4, bidirectional=True), Linear(3)], (7,)),
], ids=["layers", "convolutions", "words"])
def test_an_onnx_file_gives_the_same_numbers_for_any_number_of_samples(
    net, shape, tmp_path: Path
) -> None:
    model = Model(*net(), device="cpu")
    model.build(shape)
    model.module.train()(drawn(model.module, 8))  # statistics to tell modes apart by
    to_onnx(model, tmp_path / "net.onnx")
    for rows in (1, 5):
        x = drawn(model.module, rows)
        (y,) = values_of(tmp_path / "net.onnx", {"x": x})
        torch.testing.assert_close(y, torch.from_numpy(model.predict(x, verbose=0)))


@pytest.mark.long
@pytest.mark.parametrize("names", [("b", "a"), ("x0", "x1")])
def test_inputs_and_outputs_of_an_onnx_file_have_names(names, tmp_path: Path) -> None:
    first, second = Input((3,)), Input((2,))
    inputs = {"b": first, "a": second} if "a" in names else (first, second)
    net = Graph(inputs, (Concat()((first, second)), {"p": Linear(2)(first)}))
    net.build({"b": (3,), "a": (2,)} if "a" in names else ((3,), (2,)))
    to_onnx(net, tmp_path / "net.onnx")
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert tuple(each.name for each in graph.input) == names
    assert [each.name for each in graph.output] == ["y0", "p"]
    x = drawn(net, 4)
    parts = dict(zip(names, leaves(x), strict=True))
    for y, expected in zip(values_of(tmp_path / "net.onnx", parts), leaves(net(x)), strict=True):
        torch.testing.assert_close(y, expected)


def test_what_onnx_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = Linear(2)
    net.build((3,))
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(ImportError, match=r"got no onnx\. Run: pip install 'kerasish\[onnx\]'"):
        to_onnx(net, tmp_path / "net.onnx")
