"""The norms of single samples' gradients equal going back with each sample alone."""

import numpy as np
import pytest
import torch

from kerasish import Model, Module, Parameter, Sequential, set_seed
from kerasish.containers import Add, Concat, Graph, Input, Recompute, Residual, Shared
from kerasish.insight import SampleNorms
from kerasish.layers import (
    GRU,
    BatchNorm1d,
    Conv1d,
    Conv2d,
    Conv3d,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    PReLU,
    ReLU,
    RMSNorm,
    Tanh,
    TransformerEncoderLayer,
)
from kerasish.optimizers import Adam
from kerasish.trees import batch_size, mapped
from tests.traces import everything


def one_by_one(model, x, y, sample_weight=None):
    """Norms by parameter, from a forward and a backward of the whole net for each sample."""
    found = []
    for i in range(batch_size(y)):
        alone = [mapped(lambda part: part[i:i + 1], tree)  # noqa: B023 (used at once)
                 for tree in (x, y, sample_weight)]
        model.module.zero_grad()
        y_pred = model.module.forward(alone[0])
        model.loss.forward(y_pred, *alone[1:])
        model.module.backward(model.loss.backward())
        found.append({path: float(p.grad.norm()) for path, p in model.module.named_parameters()
                      if p.trainable})
    model.module.zero_grad()
    return {path: np.array([each[path] for each in found]) for path in found[0]}


def shared_in_a_graph():
    x = Input((4,))
    layer = Linear(4, 4)
    return Graph(x, Add()((layer(x), Tanh()(layer(Tanh()(layer(x)))))))


def padded():
    return Sequential(Embedding(6, 5, padding_idx=0), Flatten(), Linear(2))


IMAGES, WORDS = torch.Size([5, 2, 7, 6]), "words"
CASES = {
    "dense": (lambda: Sequential(Linear(6), ReLU(), Linear(3)), (5, 4)),
    "without bias": (lambda: Sequential(Linear(6, bias=False), Tanh(), Linear(3)), (5, 4)),
    "dense over sequences": (lambda: Sequential(Linear(6), Tanh(), Linear(3)), (5, 7, 4)),
    "one dimension": (lambda: Sequential(Conv1d(4, kernel_size=3, dilation=2), ReLU()), (5, 2, 9)),
    "images": (lambda: Sequential(Conv2d(4, kernel_size=3, padding=1, stride=2), ReLU(),
                                  Conv2d(2, kernel_size=1)), IMAGES),
    "groups and borders": (lambda: Sequential(
        Conv2d(4, kernel_size=3, padding="same", groups=2, padding_mode="reflect")), IMAGES),
    "volumes": (lambda: Sequential(Conv3d(3, kernel_size=2), Flatten(), Linear(2)),
                (4, 1, 3, 4, 3)),
    "words": (lambda: Sequential(Embedding(6, 5), Flatten(), Linear(2)), WORDS),
    "words with padding": (padded, WORDS),
    "layer norm": (lambda: Sequential(Linear(6), LayerNorm(), Linear(3), LayerNorm(bias=False)),
                   (5, 3, 4)),
    "layer norm of two axes": (lambda: Sequential(LayerNorm((3, 4)), Flatten(), Linear(3)),
                               (5, 3, 4)),
    "others": (lambda: Sequential(Linear(6), RMSNorm(), PReLU(), Linear(2), GroupNorm(1)), (5, 4)),
    "batch norm in evaluation": (lambda: Sequential(Linear(6), BatchNorm1d(), Dropout(0.5)),
                                 (5, 4)),
    "recurrent": (lambda: Sequential(GRU(3), Linear(2)), (5, 4, 3)),
    "transformer": (lambda: Sequential(
        TransformerEncoderLayer(nhead=2, dim_feedforward=5)), (5, 3, 4)),
    "shared": (shared_in_a_graph, (5, 4)),
    "one weight in two places": (lambda: (lambda layer: Sequential(
        layer, Residual(Sequential(Linear(4), Tanh())), layer))(Linear(4, 4)), (5, 4)),
    "recompute": (lambda: Sequential(Recompute(Sequential(Linear(4), Tanh())), Linear(2)), (5, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_norms_equal_going_back_one_by_one(name):
    make, shape = CASES[name]
    set_seed(0)
    model = Model(make(), device="cpu")
    x = torch.randint(0, 6, (5, 4)) if shape == WORDS else torch.randn(shape).double()
    model.build(tuple(x.shape[1:]))
    model.module.to(torch.float64)
    model.compile("sgd", loss="mse")
    for parameter in model.module.parameters():  # zeros would hide mistakes
        parameter.data += 0.1 * torch.randn(parameter.shape)
    y = torch.randn(len(x), *model.module.output_shape).double()
    norms = model.per_sample_gradient_norms(x, y)
    expected = one_by_one(model, x, y)
    assert norms.by_parameter.keys() == expected.keys()
    for path, values in expected.items():
        assert norms.by_parameter[path] == pytest.approx(values, rel=1e-9, abs=1e-12), path
    squares = sum(values**2 for values in expected.values())
    assert norms.total == pytest.approx(np.sqrt(squares), rel=1e-9)


def test_several_outputs_weights_and_frozen_parameters():
    set_seed(0)
    x = Input((4,))
    h = Linear(5)(x)
    stem = Linear(5)
    model = Model(Graph(x, {"class": Linear(3)(h), "value": Linear(1)(stem(h))}), device="cpu")
    stem.trainable = False
    model.compile("sgd", loss={"class": "cross_entropy", "value": "mse"},
                  loss_weights={"class": 0.5, "value": 2.0})
    x, w = torch.randn(6, 4), torch.rand(6) + 0.5
    y = {"class": torch.arange(6) % 3, "value": torch.randn(6, 1)}
    model.build((4,))
    norms = model.per_sample_gradient_norms(x, y, w)
    expected = one_by_one(model, x, y, w)
    assert norms.by_parameter.keys() == expected.keys()
    assert not any(path.startswith("2.") for path in expected)
    for path, values in expected.items():
        assert norms.by_parameter[path] == pytest.approx(values, rel=1e-4, abs=1e-7)


def test_a_module_of_ones_own_with_parameters():
    class Scale(Module):
        def build(self, shape):
            self.scale = Parameter(torch.ones(shape))
            return shape

        def forward(self, x):
            self.save_for_backward(x)
            return x * self.scale.data

        def backward(self, dy):
            (x,) = self.saved_tensors()
            self.scale.grad += (dy * x).sum(0)
            return dy * self.scale.data

    model = Model(Scale(), Linear(1), device="cpu")
    model.compile("sgd", loss="mse")
    x, y = torch.randn(4, 3), torch.randn(4, 1)
    model.build((3,))
    expected = one_by_one(model, x, y)
    assert model.per_sample_gradient_norms(x, y).by_parameter["0.scale"] == pytest.approx(
        expected["0.scale"], rel=1e-5)


def test_the_planted_outlier_dominates():
    set_seed(0)
    model = Model(Linear(8), ReLU(), Linear(1), device="cpu")
    model.compile("adam", loss="mse")
    x = torch.randn(32, 3)
    y = x.sum(1, keepdim=True)
    model.fit(x, y, epochs=200, verbose=0, seed=0)
    y[17] += 50  # a wrong label
    norms = model.per_sample_gradient_norms(x, y)
    assert norms.largest(1) == [17] and norms.total[17] > 5 * np.delete(norms.total, 17).max()
    first = str(norms).splitlines()[1]
    assert first.split()[0] == "17" and first.endswith("%")


@pytest.mark.parametrize("built", [True, False])
def test_it_leaves_no_trace(built):
    set_seed(0)
    model = Model(Linear(8), BatchNorm1d(), Dropout(0.5), Linear(1), device="cpu")
    model.compile(Adam(0.01), loss="mse")
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    if built:
        model.fit(x, y, verbose=0)
    before = everything(model)
    model.per_sample_gradient_norms(x, y)
    with pytest.raises(ValueError):
        model.per_sample_gradient_norms(x, y[:3])
    assert everything(model) == before


def test_what_it_refuses():
    model = Model(Linear(1), device="cpu")
    with pytest.raises(RuntimeError, match=r"Model.per_sample_gradient_norms expects a compiled"):
        model.per_sample_gradient_norms([[1.0]], [[1.0]])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"largest\(count\) expects"):
        model.per_sample_gradient_norms([[1.0]], [[1.0]]).largest(0)


def test_branches_that_get_no_gradient_are_left_out():
    x = Input((3,))
    layer = Linear(3, 3)
    used, unused = layer(x), Tanh()(layer(Tanh()(x)))
    model = Model(Graph(x, {"a": used, "b": unused}), device="cpu")
    model.compile("sgd", loss={"a": "mse", "b": None})
    model.build((3,))
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    norms = model.per_sample_gradient_norms(x, {"a": y})
    alone = Model(Sequential(layer), device="cpu")
    expected = []
    for i in range(4):
        layer.zero_grad()
        error = alone.module.forward(x[i:i + 1]) - y[i:i + 1]
        alone.module.backward(2 * error / 3)
        expected.append(float(layer.weight.grad.norm()))
    assert norms.by_parameter["0.weight"] == pytest.approx(np.array(expected), rel=1e-5)


def test_concat_of_two_inputs():
    a, b = Input((3,)), Input((2,))
    joined = Concat()((Linear(4)(a), Shared(Linear(3))((b, b))[0]))
    model = Model(Graph({"a": a, "b": b}, Linear(2)(joined)), device="cpu")
    model.compile("sgd", loss="mse")
    x, y = {"a": torch.randn(4, 3), "b": torch.randn(4, 2)}, torch.randn(4, 2)
    model.per_sample_gradient_norms(x, y)
    model.build({"a": (3,), "b": (2,)})
    norms, expected = model.per_sample_gradient_norms(x, y), one_by_one(model, x, y)
    for path, values in expected.items():
        assert norms.by_parameter[path] == pytest.approx(values, rel=1e-4, abs=1e-7)


def test_a_sample_that_is_not_finite_comes_first():
    model = Model(Sequential(Linear(4), Tanh(), Linear(1)), device="cpu")
    model.compile("sgd", loss="mse")
    x = torch.randn(5, 3)
    x[3, 1] = float("nan")
    norms = model.per_sample_gradient_norms(x, torch.randn(5, 1))
    assert norms.largest(1) == [3]
    first, *others = str(norms).splitlines()[1:]
    assert first.split()[0] == "3" and first.split()[-2:] == ["nan", "-"]
    shares = [float(line.split()[-1].rstrip("%")) for line in others]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_norms_too_large_to_be_squared_print():
    norms = SampleNorms({"weight": np.array([1e30, np.inf, 1.0], dtype=np.float32)})
    assert norms.largest() == [1, 0, 2]
    assert [line.split()[0] for line in str(norms).splitlines()[1:]] == ["1", "0", "2"]


def test_a_net_that_trains_nothing_is_refused():
    model = Model(Sequential(Linear(2)), device="cpu")
    model.compile("sgd", loss="mse")
    model.trainable = False
    with pytest.raises(ValueError, match="per_sample_gradient_norms expects a model with param"):
        model.per_sample_gradient_norms(torch.ones(2, 3), torch.ones(2, 2))
