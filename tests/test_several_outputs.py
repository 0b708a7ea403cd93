"""Several inputs and outputs: data in tuples and dicts, a loss and metrics for each output."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kerasish import Model, Module, set_seed
from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Multiply,
    Parallel,
    Recompute,
    Sequential,
)
from kerasish.gradcheck import check_gradients
from kerasish.hooks import Callback
from kerasish.layers import (
    GRU,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MultiheadAttention,
    Sigmoid,
    Tanh,
)
from kerasish.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy
from kerasish.losses.several import OutputLosses
from kerasish.optimizers import SGD
from tests.table import numbers


def pair() -> Graph:
    """Two inputs, a class among three and a number between -1 and 1."""
    left, right = Input((4,)), Input((2,))
    h = Tanh()(Concat()((Linear(5)(left), right)))
    kind, size = Linear(3)(h), Tanh()(Linear(1)(h))
    return Graph({"left": left, "right": right}, {"kind": kind, "size": size})


def data(count: int = 12) -> tuple[dict, dict]:
    x = {"left": numbers(count, 4).float(), "right": numbers(count, 2, seed=1).float()}
    y = {"kind": torch.arange(count) % 3, "size": x["left"][:, :1].sign()}
    return x, y


def compiled(**settings: object) -> Model:
    model = Model(pair(), device="cpu")
    model.compile(**{"optimizer": SGD(0.1), "loss": {"kind": "cross_entropy", "size": "mse"}}
                  | settings)
    return model


class Twin(nn.Module):
    """The same net in torch, with the values of ours."""

    def __init__(self, net: Graph) -> None:
        super().__init__()
        self.mix, self.kind, self.size = nn.Linear(4, 5), nn.Linear(7, 3), nn.Linear(7, 1)
        linears = [part for part in net.parts if isinstance(part, Linear)]
        for mine, theirs in zip(linears, (self.mix, self.kind, self.size), strict=True):
            theirs.load_state_dict(mine.state_dict())

    def forward(self, x: dict) -> dict:
        h = torch.tanh(torch.cat((self.mix(x["left"]), x["right"]), 1))
        return {"kind": self.kind(h), "size": torch.tanh(self.size(h))}


# ---- training -------------------------------------------------------------------------------


def test_training_matches_torch_with_a_weighted_sum_of_losses() -> None:
    x, y = data()
    model = compiled(loss_weights={"kind": 2.0, "size": 0.5})
    model.build({"left": (4,), "right": (2,)})
    twin = Twin(model.module)
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    history = model.fit(x, y, batch_size=12, epochs=20, shuffle=False, verbose=0).history
    for epoch in range(20):
        out = twin(x)
        kind, size = F.cross_entropy(out["kind"], y["kind"]), F.mse_loss(out["size"], y["size"])
        optimizer.zero_grad()
        (2 * kind + size / 2).backward()
        optimizer.step()
        assert history["kind_loss"][epoch] == pytest.approx(kind.item(), rel=1e-4)
        assert history["size_loss"][epoch] == pytest.approx(size.item(), rel=1e-4)
        assert history["loss"][epoch] == pytest.approx((2 * kind + size / 2).item(), rel=1e-4)


def test_batches_of_several_inputs_keep_their_rows_together() -> None:
    x, y = data()
    model = compiled(metrics={"kind": "accuracy", "size": ["accuracy", "mae"]})
    model.fit(x, y, batch_size=5, epochs=2, validation_split=0.25, verbose=0)
    names = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_accuracy", "size_mae"]
    assert model.metrics_names == names
    assert list(model.history.history) == names + [f"val_{name}" for name in names]
    results = model.evaluate(x, y, batch_size=5, verbose=0, return_dict=True)
    assert list(results) == names
    predicted = model.predict(x, batch_size=5, verbose=0)
    assert {name: part.shape for name, part in predicted.items()} == {
        "kind": (12, 3), "size": (12, 1)}
    kind = (predicted["kind"].argmax(1) == y["kind"].numpy()).mean()
    size = np.abs(predicted["size"] - y["size"].numpy()).mean()
    right = ((predicted["size"] > 0) == (y["size"].numpy() > 0)).mean()
    assert results["kind_accuracy"] == pytest.approx(kind)
    assert results["size_accuracy"] == pytest.approx(right)
    assert results["size_mae"] == pytest.approx(size, rel=1e-5)


def test_one_batch_methods_take_them_too() -> None:
    x, y = data()
    model = compiled()
    first = model.train_on_batch(x, y, return_dict=True)
    assert list(first) == ["loss", "kind_loss", "size_loss"]
    assert model.test_on_batch(x, y, return_dict=True)["loss"] < first["loss"]
    assert set(model.predict_on_batch(x)) == {"kind", "size"}
    assert model.predict({name: part[:0] for name, part in x.items()}, verbose=0)["kind"].shape == (
        0, 3)


def test_tuples_of_numpy_arrays_and_unnamed_outputs() -> None:
    model = Model(Parallel(Linear(1), Linear(2)), device="cpu")
    model.compile("sgd", ["mse", "mae"], metrics=["mae", None])
    x = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    history = model.fit(x, (x, np.hstack([x, x])), verbose=0).history
    assert list(history) == ["loss", "output_0_loss", "output_1_loss", "output_0_mae"]
    first, second = model.predict(x, verbose=0)
    assert first.shape == (6, 1) and second.shape == (6, 2)


def test_a_tuple_of_numbers_is_still_one_array() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    model.fit(((0.0, 1.0), (1.0, 0.0)), ((1.0,), (0.0,)), verbose=0)
    assert model.module.input_shape == (2,)


def test_an_output_without_a_loss_is_left_alone_and_needs_no_targets() -> None:
    x, y = data()
    model = compiled(loss={"kind": "cross_entropy", "size": None})
    model.build({"left": (4,), "right": (2,)})
    size = [part for part in model.module.parts if isinstance(part, Linear)][2]
    before = size.state_dict()
    history = model.fit(x, {"kind": y["kind"]}, verbose=0).history
    assert list(history) == ["loss"]
    assert all(torch.equal(before[name], value) for name, value in size.state_dict().items())
    model.fit(x, {"kind": y["kind"], "size": None}, verbose=0)


def test_one_loss_is_meant_for_each_output_with_a_state_of_its_own() -> None:
    loss = MSE()
    model = Model(Parallel(Linear(1), Linear(1)), device="cpu")
    model.compile("sgd", loss, metrics="mae")
    first, second = (part.loss for part in model.loss.parts)
    assert first is not second and loss not in (first, second)
    assert model.metrics_names == [
        "loss", "output_0_loss", "output_1_loss", "output_0_mae", "output_1_mae"]


def test_a_module_of_ones_own_may_have_several_outputs() -> None:
    class Split(Module):
        def build(self, shape):
            return {"a": shape, "b": shape}

        def forward(self, x):
            self.save_for_backward()
            return {"a": x, "b": 2 * x}

        def backward(self, dy):
            self.saved_tensors()
            return dy["a"] + 2 * dy["b"]

    x = [[1.0], [2.0]]
    model = Model(Linear(1), Split(), device="cpu")
    model.compile("sgd", {"a": "mse", "b": "mae"})
    model.fit(x, {"a": np.array(x), "b": np.array(x)}, verbose=0)
    assert set(model.predict(x, verbose=0)) == {"a", "b"}
    model = Model(Linear(1), Split(), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"several outputs; got MSE.. for .'a', 'b'."):
        model.fit(x, x, verbose=0)
    assert not model.built


# ---- the loss by itself ---------------------------------------------------------------------


def test_gradients_of_several_losses_match_finite_differences() -> None:
    y_pred = {"a": numbers(4, 3), "b": numbers(4, 2, seed=1)}
    y_true = {"a": torch.tensor([0, 1, 2, 1]), "b": numbers(4, 2, seed=2) / 9}
    losses = OutputLosses({"a": CrossEntropy(), "b": MAE()}, {"a": 0.3, "b": 2.0})
    check_gradients(losses, y_pred, y_true)
    check_gradients(losses, y_pred, y_true, torch.tensor([0.0, 1.0, 2.0, 0.5]))
    check_gradients(OutputLosses((MSE(), MSE())), (y_pred["a"], y_pred["b"]),
                    (y_pred["a"] / 2, y_pred["b"] / 3))


def test_a_failed_step_leaves_nothing_saved_in_any_loss() -> None:
    losses = OutputLosses((MSE(), MAE()))
    losses.forward((torch.ones(2, 1),) * 2, (torch.zeros(2, 1),) * 2)
    losses.forget()
    assert not any(part.loss._saved for part in losses.parts)
    with pytest.raises(RuntimeError, match="no forward"):
        losses.backward()


# ---- what cannot be meant -------------------------------------------------------------------


WRONG_COMPILE = [
    ({"loss": {"kind": "cross_entropy", "sise": "mse"}}, "'sise'. Did you mean 'size'"),
    ({"loss": {"kind": "cross_entropy"}}, "got none for 'size'. Write None"),
    ({"loss": ["cross_entropy"]}, r"one for each of 2 outputs; got 1"),
    ({"loss": ["cross_entropy", "msee"]}, "Did you mean 'mse'"),
    ({"loss": {"kind": None, "size": None}}, "a loss for one output at least"),
    ({"loss_weights": {"knd": 1.0}}, "compile.loss_weights. expects the names of outputs"),
    ({"loss_weights": [1.0]}, "compile.loss_weights. expects one for each of 2"),
    ({"loss_weights": [1.0, -1.0]}, r"compile.loss_weights. expects a finite number of 0 or more"),
    ({"metrics": {"kinds": "accuracy"}}, "compile.metrics. expects the names of outputs"),
    ({"metrics": ["accuracy"]}, "compile.metrics. expects one for each of 2"),
    ({"loss": {"kind": None, "size": "mse"}, "metrics": {"kind": "accuracy"}},
     "outputs with a loss for 'accuracy'"),
    ({"loss": {"kind": "cross_entropy", "size": BinaryCrossEntropy(from_logits=False)}},
     "probabilities at output 'size'; got one that ends in Tanh"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_COMPILE)
def test_compile_refuses_what_does_not_fit_the_outputs(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled(**settings)


def test_weights_of_losses_need_several_outputs() -> None:
    model = Model(Linear(1), device="cpu")
    with pytest.raises(ValueError, match=r"several outputs; got one output and 0\.5"):
        model.compile("sgd", "mse", loss_weights=0.5)
    model.compile("sgd", ["mse"])
    assert model.metrics_names == ["loss"]


WRONG_DATA = [
    (lambda x, y: (x, y["kind"]), "targets with the outputs .*'size'. in a dict; got Tensor"),
    (lambda x, y: (x, {"kind": y["kind"]}), "got .'kind'."),
    (lambda x, y: (x, {**y, "kind": y["kind"] + 5}), "expects classes from 0 to 2"),
    (lambda x, y: (x["left"], y), "in the structure of its inputs"),
    (lambda x, y: ({**x, "right": x["right"][:5]}, y), "got 12 in x and 5 in another part of it"),
    (lambda x, y: (x, {**y, "size": y["size"][:5]}), "got 12 in x and 5 in y"),
    (lambda x, y: ({}, y), "expects samples; got {}"),
    (lambda x, y: (x, {}), "expects targets"),
    (lambda x, y: ({**x, "left": [["a"]] * 12}, y), r"fit\(x\)\['left'\] expects numbers"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_DATA)
def test_data_that_does_not_fit_is_refused_before_training(change, message: str) -> None:
    model = compiled()
    x, y = change(*data())
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(x, y, verbose=0)
    assert not model.built


def test_several_targets_for_one_output_are_refused() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    x = np.ones((2, 1))
    with pytest.raises(ValueError, match=r"several targets; got MSE.. for .0, 1."):
        model.fit(x, (x, x), verbose=0)
    with pytest.raises(ValueError, match="one tensor"):
        model.fit((x, x), x, verbose=0)
    assert not model.built


def test_a_wrong_target_names_its_output() -> None:
    x, y = data()
    with pytest.raises(ValueError) as error:
        compiled().fit(x, {**y, "size": torch.zeros(12, 3)}, verbose=0)
    assert error.value.__notes__ == ["at output 'size'"]


def test_what_a_net_ends_in_is_found_through_containers() -> None:
    x = Input((3,))
    nets = [Graph(x, Sigmoid()(Linear(1)(x))), Sequential(Sequential(Linear(1), Sigmoid())),
            Parallel(Sequential(Linear(1), Sigmoid()), Linear(1))]
    for net in nets:
        with pytest.raises(ValueError, match="expects a model that ends in logits"):
            Model(net, device="cpu").compile("sgd", "bce")
    for net in (Graph(x, Add()((Sigmoid()(x), x))), Graph(x, x)):
        Model(net, device="cpu").compile("sgd", "bce")


def test_the_same_seed_gives_the_same_numbers() -> None:
    runs = []
    for _ in range(2):
        set_seed(3)
        x, y = data()
        runs.append(compiled().fit(x, y, batch_size=4, epochs=3, verbose=0, seed=1).history)
    assert runs[0] == runs[1]


def test_the_summary_shows_several_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model(Parallel(Linear(2), Tanh()), device="cpu")
    model.build((3,))
    model.summary()
    assert "(N, 2)" in capsys.readouterr().out


# ---- masks, merges and parts ----------------------------------------------------------------


def test_truth_values_among_several_inputs_stay_masks() -> None:
    attention = MultiheadAttention(8, 2)
    model = Model(attention, device="cpu")
    query = numbers(4, 6, 8).float()
    future = torch.ones(6, 6, dtype=torch.bool).triu(1).expand(4, 6, 6)
    padding = torch.zeros(4, 6, dtype=torch.bool)
    padding[:, 5] = True
    x = {"query": query, "attn_mask": future, "key_padding_mask": padding}
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(y, attention(x).numpy(), rtol=1e-5, atol=1e-6)
    changed = query.clone()
    changed[:, 3:] += 1
    np.testing.assert_allclose(model.predict({**x, "query": changed}, verbose=0)[:, :3], y[:, :3],
                               rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    losses = model.fit(x, query, epochs=5, batch_size=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("net", [
    lambda: Sequential(Parallel(Linear(1), Linear(1)), Add()),
    lambda: Sequential(Sequential(Parallel(Linear(1), Linear(1)), Add()), Flatten()),
    lambda: Recompute(Sequential(Parallel(Linear(1), Linear(1)), Multiply(), Dropout(0.1)))])
def test_a_net_that_ends_in_a_merge_has_one_output(net) -> None:
    model = Model(net(), device="cpu")
    model.compile("sgd", "mse", metrics="mae")
    model.fit(numbers(8, 6), numbers(8, 1), verbose=0)
    assert model.metrics_names == ["loss", "mae"]


def test_outputs_of_a_module_can_be_taken_apart_in_a_graph() -> None:
    x = Input((5, 3))
    steps, state = GRU(4, return_sequences=True, return_state=True)(x)
    named = Graph(x, {"steps": steps, "state": state})
    outputs = named(x)
    assert sorted(outputs) == ["state", "steps"]
    net = Graph(x, (outputs["state"], Flatten()(outputs["steps"])))
    net.build((5, 3))
    net.to(dtype=torch.float64)
    state, steps = net(numbers(2, 5, 3))
    torch.testing.assert_close(steps[:, -4:], state[:, 0])
    check_gradients(net, numbers(2, 5, 3))
    with pytest.raises(TypeError, match="expects a module with several outputs"):
        x[0]
    with pytest.raises(TypeError, match="It has one output"):
        list(x)


def test_a_graph_holds_to_the_shapes_of_its_inputs() -> None:
    x = Input((5,))
    model = Model(Graph(x, Linear(2)(x)), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"expects samples of the shapes \(5,\); got \(7,\)"):
        model.fit(numbers(8, 7), numbers(8, 2), verbose=0)
    assert not model.built
    with pytest.raises(ValueError, match="each at least 1; got"):
        Input((-1,))
    image = Input((1, 8, 8))
    net = Graph(image, Conv2d(2, kernel_size=3)(image))
    net.build((1, 8, 8))
    assert net.build((1, 10, 10)) == (2, 8, 8)  # once built it may meet images of other sizes


def test_nothing_of_a_pass_outlives_it_in_inference_mode() -> None:
    x, y = data()
    model = compiled()
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    assert not any(value.is_inference() for value in model.loss.values.values())


def test_a_callback_that_raises_leaves_no_batch_behind() -> None:
    class Raises(Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("stop here")

    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse", metrics=["mae"])
    with pytest.raises(RuntimeError, match="stop here"):
        model.fit(numbers(8, 2), numbers(8, 1), verbose=0, callbacks=Raises())
    assert not model.scores._held
