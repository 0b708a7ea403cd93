"""compile(precision="bfloat16"): computed in few digits, trained in all of them."""

import copy
import os
import pickle
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import Model, Module, datasets
from kerasish.callbacks import BackupAndRestore, Callback
from kerasish.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    RMSNorm,
    Tanh,
)
from kerasish.losses import MSE
from kerasish.optimizers import SGD, Adam
from kerasish.optimizers.flat import flatten
from kerasish.precision import ComputeCopy
from kerasish.saving.format import read_file
from kerasish.trees import leaves, mapped
from tests.table import MODULES, Row, seeded
from tests.test_every_module import gradients, named, run_twin, twin_of
from tests.traces import everything


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def data(count: int = 40) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
    return x, x.prod(1, keepdim=True)


def compiled(precision: Any = "bfloat16", optimizer: Any = "adam", model: type = Model) -> Model:
    made = model(Linear(3, 8), Tanh(), LayerNorm(8), Linear(8, 1), device="cpu")
    with seeded():
        made.build((3,))
    made.compile(optimizer, "mse", precision=precision)
    return made


def weight_alone(optimizer: Any, value: float = 1.0, samples: int = 1) -> tuple[Model, Tensor]:
    """A net y = w x with the loss -y, whose gradient is x: a known one for each sample."""
    model = Model(Linear(1, 1, bias=False), device="cpu")
    model.build((1,))
    (weight,) = model.module.parameters()
    weight.data = torch.full((1, 1), value)

    class Minus(MSE):
        def forward(self, y_pred, y_true, sample_weight=None):
            self.save_for_backward(y_pred)
            return -y_pred.mean()

        def backward(self):
            (y_pred,) = self.saved_tensors()
            return torch.full_like(y_pred, -1 / len(y_pred))

    model.compile(optimizer, Minus(), precision="bfloat16")
    return model, weight.data


# ---- numbers that are known ---------------------------------------------------------------------


def test_it_computes_with_rounded_weights_and_inputs_and_keeps_the_exact_ones():
    model, weight = weight_alone("sgd", 1.001)
    assert model.predict([[1.001]], verbose=0) == 1.0 and weight == 1.001
    assert model.predict([[3.0]], verbose=0).dtype == "float32"
    model, _ = weight_alone("sgd", 1.01)
    assert model.predict([[1.0]], verbose=0) == 1.0078125, "the nearest number of bfloat16"


def test_updates_that_bfloat16_cannot_tell_apart_add_up_in_the_weights():
    model, weight = weight_alone(SGD(1e-4))
    assert torch.tensor(1 + 1e-4).bfloat16() == 1
    model.fit([[1.0]] * 100, [[0.0]] * 100, batch_size=1, verbose=0)
    assert weight.item() == pytest.approx(1.01, rel=1e-5)


def test_gradients_of_micro_batches_add_up_in_float32():
    model, weight = weight_alone(SGD(1.0, gradient_accumulation_steps=2), 0.0)
    assert torch.tensor(257.0).bfloat16() == 256
    model.fit([[256.0], [1.0]], [[0.0]] * 2, batch_size=1, verbose=0, shuffle=False)
    assert weight == 257 / 2


def test_the_loss_is_that_of_the_predictions_in_float32():
    (x, y), model = data(), compiled()
    y_pred = torch.from_numpy(model.predict(x, batch_size=40, verbose=0))
    assert torch.equal(rounded(y_pred), y_pred), "computed in bfloat16"
    loss = model.evaluate(x, y, batch_size=40, verbose=0)
    assert loss == MSE().forward(y_pred, y).item() != rounded(torch.tensor(loss)).item()


def test_a_net_gives_what_torch_gives_for_its_rounded_twin():
    (x, y), model = data(), Model(Linear(3, 8), Tanh(), Linear(8, 1), device="cpu")
    model.build((3,))
    model.compile(SGD(1.0), "mse", precision="bfloat16")
    before = model.module.state_dict()
    w1, b1, w2, b2 = (each.bfloat16().requires_grad_() for each in before.values())
    hidden = torch.tanh(torch.nn.functional.linear(x.bfloat16(), w1, b1))
    y_pred = torch.nn.functional.linear(hidden, w2, b2).float()
    torch.nn.functional.mse_loss(y_pred, y).backward()
    assert (model.predict(x, 40, verbose=0) == y_pred.detach().numpy()).all()
    model.train_on_batch(x, y)
    for name, expected in zip(before, (w1, b1, w2, b2), strict=True):
        got = before[name] - model.module.state_dict()[name]
        torch.testing.assert_close(got, expected.grad.float(), rtol=0.01, atol=0.01)


# ---- every module, and the numbers that need float32 --------------------------------------------

OTHERWISE = {"AvgPool3d": "torch has no such kernel", "GaussianNoise": "draws other noise"}
OURS_ALONE = "LocalResponseNorm"
"""What torch cannot do in bfloat16."""


def small(x: Tensor) -> Tensor:
    return x.bfloat16() if x.is_floating_point() else x


@pytest.mark.parametrize("row", [row for row in MODULES if not row.id.startswith((*OTHERWISE,))],
                         ids=lambda row: row.id)
def test_every_module_is_as_exact_as_that_of_torch_in_bfloat16(row: Row) -> None:
    module, x, dy = (made(dtype=torch.float32) for made in (row.built, row.x, row.dy))
    flatten(module.parameters())
    exact = run_twin(twin_of(row, module).float(), x, dy)
    theirs = exact if row.id.startswith(OURS_ALONE) else run_twin(
        twin_of(row, module).bfloat16(), mapped(small, x), mapped(small, dy))
    net, before = ComputeCopy(module, torch.bfloat16), module.state_dict()
    with seeded():
        ours = named("y", net.forward(x))
    ours |= named("dx", net.backward(dy)) | gradients(module)
    for name, value in exact.items():
        assert ours[name].dtype == value.dtype, name
        apart, theirs_apart = ((each - value).abs().sum() for each in (ours[name], theirs[name]))
        assert apart <= 1.5 * theirs_apart + 0.05 * value.abs().sum() + 1e-6, name
    assert all(torch.equal(before[name], p.data) for name, p in module.named_parameters())
    assert not any(part._saved for part in module.modules())


@pytest.mark.parametrize("norm", [
    BatchNorm2d(), GroupNorm(2), InstanceNorm2d(affine=True, track_running_stats=True),
    LayerNorm(), RMSNorm(), LocalResponseNorm(3, alpha=1.0)], ids=repr)
def test_the_statistics_of_norms_are_in_float32(norm: Module) -> None:
    norm = copy.deepcopy(norm)
    norm.build((8, 4, 4))
    for parameter in flatten(norm.parameters()):
        parameter.data.uniform_(0.5, 2, generator=torch.Generator().manual_seed(1))
    x = rounded(3 + torch.randn(6, 8, 4, 4, generator=torch.Generator().manual_seed(0)))
    net = ComputeCopy(norm, torch.bfloat16)
    y, exact = net.forward(x), copy.deepcopy(norm).to(torch.float64).forward(x.double())
    kept = [each for each in leaves(norm._saved) if isinstance(each, Tensor)]
    assert torch.bfloat16 in {each.dtype for each in kept}, "the input"
    assert all(each.dtype == torch.float32 for each in kept if each.numel() < x.numel())
    assert ((y - exact).abs() <= exact.abs() * 2**-8 + 1e-4).all(), "rounded once, at the end"
    assert all(buffer.dtype in (torch.float32, torch.int64) for buffer in norm.buffers())
    net.backward(torch.ones_like(y))
    assert norm.forward(x.bfloat16()).dtype == norm.backward(x.bfloat16()).dtype == torch.bfloat16


# ---- weights that change ------------------------------------------------------------------------


class Reset(Callback):
    """Sets the weights to 0 between two batches of an evaluation."""

    def on_predict_batch_begin(self, batch, logs=None):
        if batch == 1:
            for parameter in self.model.module.parameters():
                parameter.data.zero_()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_predictions_are_those_of_the_latest_weights(optimizer, tmp_path):
    (x, y), model = data(), compiled(optimizer=optimizer)
    seen = [model.predict(x, verbose=0)]
    for _ in range(3):
        model.fit(x, y, verbose=0, seed=0)
        seen.append(model.predict(x, verbose=0))
        model.save_weights(tmp_path / "weights")
        other = compiled()
        other.load_weights(tmp_path / "weights")
        assert (other.predict(x, verbose=0) == seen[-1]).all()
    assert all((one != other).any() for one, other in pairwise(seen))
    for parameter in model.module.parameters():
        parameter.grad.fill_(1.0)
    model.optimizer.step()  # without a forward
    model.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    assert (other.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    assert (model.predict(x, batch_size=20, verbose=0, callbacks=Reset())[20:] == 0).all()


# ---- files, copies and runs that go on ----------------------------------------------------------


def test_a_file_holds_the_float32_weights_and_training_goes_on_from_it_to_the_bit(tmp_path):
    (x, y), model = data(), compiled()
    model.fit(x, y, epochs=2, seed=0, verbose=0)
    model.save(tmp_path / "net")
    stored = read_file(str(tmp_path / "net"), ("model",)).tensors()
    for path, parameter in model.module.named_parameters():
        assert stored[path].dtype == torch.float32 and torch.equal(stored[path], parameter.data)
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert loaded.precision == torch.bfloat16
    for each in (model, loaded):
        each.fit(x, y, initial_epoch=2, epochs=4, seed=0, verbose=0)
    assert_same(model, loaded)
    assert (model.predict(x, verbose=0) == loaded.predict(x, verbose=0)).all()


def test_a_run_that_was_cut_off_goes_on_to_the_bit(tmp_path):
    class Cut(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.batches_trained == 7:
                raise ZeroDivisionError

    (x, y), whole, model = data(), compiled(), compiled()
    whole.fit(x, y, batch_size=10, epochs=3, seed=0, verbose=0)
    backup = BackupAndRestore(tmp_path, save_freq=3)
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, batch_size=10, epochs=3, seed=0, verbose=0, callbacks=[backup, Cut()])
    again = compiled()
    again.fit(x, y, batch_size=10, epochs=3, seed=0, verbose=0, callbacks=backup)
    assert again.batches_trained == 12
    assert_same(whole, again)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_trains_by_itself_to_the_same_bits(copied):
    (x, y), model = data(), compiled()
    model.fit(x, y, seed=0, verbose=0)
    before, other = model.module.state_dict(), copied(model)
    other.fit(x, y, seed=1, verbose=0)
    assert all(torch.equal(before[name], now) for name, now in model.module.state_dict().items())
    model.fit(x, y, seed=1, verbose=0)
    assert_same(model, other)


def assert_same(one: Model, other: Model) -> None:
    for state in ((one.module.state_dict(), other.module.state_dict()),
                  (one.optimizer.state_dict(), other.optimizer.state_dict())):
        pairs = zip(leaves(state[0]), leaves(state[1]), strict=True)
        assert all(torch.equal(*map(torch.as_tensor, pair)) for pair in pairs)


# ---- nothing is left behind ---------------------------------------------------------------------


@pytest.mark.parametrize("ask", [
    lambda model, x, y: model.evaluate(x, y, verbose=0),
    lambda model, x, y: model.predict(x, verbose=0),
    lambda model, x, y: model.plan(8, x, y),
    lambda model, x, y: model.check(x[:3], y[:3]),
    lambda model, x, y: model.explain(x[:3], y[:3]),
    lambda model, x, y: model.per_sample_gradient_norms(x[:3], y[:3]),
], ids=["evaluate", "predict", "plan", "check", "explain", "norms"])
def test_questions_leave_no_trace(ask):
    (x, y), model = data(), compiled()
    model.fit(x, y, seed=0, verbose=0)
    model.evaluate(x, y, verbose=0)  # which keeps the names of what it answers
    before = everything(model)
    ask(model, x, y)
    assert everything(model) == before


class Picky(Module):
    """Cannot compute in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise NotImplementedError("no such kernel")
        return x

    def backward(self, dy: Tensor) -> Tensor:
        return dy


def test_a_module_that_cannot_is_named_and_the_weights_are_back_in_their_place():
    (x, y), model = data(), Model(Linear(3, 2), Picky(), Linear(2, 1), device="cpu")
    model.compile("sgd", "mse", precision="bfloat16")
    model.build((3,))
    before = everything(model)
    with pytest.raises(NotImplementedError) as raised:
        model.fit(x, y, verbose=0)
    assert raised.value.__notes__ == [
        "in layer 1 of Sequential, Picky()",
        "computing in bfloat16, as compile(precision) says; if a module cannot, leave precision "
        "out"]
    assert everything(model)[3:6] == before[3:6]


# ---- without it ---------------------------------------------------------------------------------


class ByHand(Model):
    """Trains on its module alone."""

    def train_step(self, x, y, sample_weight=None):
        y_pred = self.module.forward(x)
        loss = self.objective(y_pred, y, sample_weight)
        self.module.backward(self.loss.backward())
        self.step()
        return loss, y_pred


@pytest.mark.parametrize("precision", [None, "float32"])
def test_without_it_the_bits_are_those_of_the_module_alone(precision):
    (x, y), model, by_hand = data(), compiled(precision), compiled(None, model=ByHand)
    logs = [each.fit(x, y, epochs=3, seed=0, verbose=0).history for each in (model, by_hand)]
    assert logs[0] == logs[1]
    assert_same(model, by_hand)
    assert model.evaluate(x, y, verbose=0) == by_hand.evaluate(x, y, verbose=0)
    small = compiled("bfloat16")
    assert small.fit(x, y, epochs=3, seed=0, verbose=0).history["loss"] != logs[0]["loss"]


def test_compiled_again_without_it_all_is_as_before():
    (x, y), model, never = data(), compiled("bfloat16"), compiled(None)
    model.predict(x, verbose=0)
    model.compile("adam", "mse")
    for each in (model, never):
        each.fit(x, y, seed=0, verbose=0)
    assert_same(model, never)


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "message"), [
    ("bfloat61", r"compile\(precision\) expects one of 'float32', 'bfloat16'; got 'bfloat61'\. "
                 r"Did you mean 'bfloat16' or 'float32'\?"),
    ("float16", r"compile\(precision\) expects 'float32', 'bfloat16' or None; got 'float16', in "
                r"which small gradients are 0 unless the loss is scaled\. Write 'bfloat16', which "
                r"has the range of float32\."),
    (torch.bfloat16, r"compile\(precision\) expects one of 'float32', 'bfloat16'; got torch"),
    (16, r"compile\(precision\) expects one of 'float32', 'bfloat16'; got 16"),
])
def test_other_names_are_refused(value, message):
    model = Model(Linear(1), device="cpu")
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", "mse", precision=value)
    assert not model.compiled


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("built", [True, False])
def test_weights_of_other_types_are_refused_and_nothing_is_changed(precision, dtype, built):
    model = Model(Linear(1, 1, dtype=dtype), device="cpu")
    name = str(dtype).removeprefix("torch.")
    message = (rf"compile\(precision='{precision}'\) expects parameters of float32, to train and "
               rf"to save; got 'weight' of {name}. Leave precision out, or make the net of "
               r"float32: module.to\(torch.float32\).")
    if built:
        model.build((1,))
        with pytest.raises(ValueError, match=message):
            model.compile("sgd", "mse", precision=precision)
        assert not model.compiled
    else:
        model.compile("sgd", "mse", precision=precision)
        with pytest.raises(ValueError, match=message):
            model.build((1,))
        assert not model.built


def test_going_back_through_a_forward_of_the_module_alone_is_refused():
    class Mixed(Model):
        def train_step(self, x, y, sample_weight=None):
            y_pred = self.module.forward(x)
            loss = self.objective(y_pred, y, sample_weight)
            self.backward(self.loss.backward())
            return loss, y_pred

    class Failing(Model):
        def train_step(self, x, y, sample_weight=None):
            self.forward(x)
            raise ZeroDivisionError

    model = compiled(model=Failing)
    with pytest.raises(ZeroDivisionError):
        model.train_on_batch(*data())  # what a failed step leaves is gone
    model.__class__ = Mixed
    with pytest.raises(RuntimeError, match=r"Model\.backward\(dy\) expects a forward in bfloat16 "
                       r"to go back through; got none\. Call self\.forward\(x\) in train_step, not "
                       r"self\.module\.forward\(x\)\."):
        model.train_on_batch(*data())


# ---- as good as float32 -------------------------------------------------------------------------

NETS: dict[str, tuple[Any, int]] = {
    "mlp": (lambda: [Flatten(), Linear(128), ReLU(), Linear(10)], 6000),
    "conv_net": (lambda: [Conv2d(8, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(4), Flatten(),
                          Linear(10)], 3000)}


@pytest.mark.long
@pytest.mark.skipif("KERASISH_DATA" not in os.environ, reason="needs MNIST in KERASISH_DATA")
@pytest.mark.parametrize("net", NETS)
def test_digits_are_learned_to_within_a_hundredth_of_the_accuracy_of_float32(net):
    (make, samples), ((x, y), (x_test, y_test)) = NETS[net], datasets.mnist()
    x, y, x_test, y_test = x[:samples] / 255, y[:samples], x_test[:2000] / 255, y_test[:2000]
    accuracy = {}
    for precision in (None, "bfloat16"):
        model = Model(*make(), device="cpu")
        model.compile(Adam(2e-3), "cross_entropy", metrics=["accuracy"], precision=precision)
        model.fit(x, y, batch_size=50, epochs=3, seed=0, verbose=0)
        _, accuracy[precision] = model.evaluate(x_test, y_test, 500, verbose=0)
    assert accuracy[None] > 0.85
    assert accuracy["bfloat16"] == pytest.approx(accuracy[None], abs=0.01)
