"""Model.check: it passes what is right, and names what is planted wrong, with the module."""

import math

import pytest
import torch

from kerasish import Model, Parameter, Sequential, set_seed
from kerasish.containers import Concat, Graph, Input, Recompute, Residual, Shared
from kerasish.differences import doubled
from kerasish.insight.checking.comparing import verdicts
from kerasish.insight.checking.probes import LossProbe, ModuleProbe
from kerasish.layers import (
    GRU,
    BatchNorm1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalMaxPool,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
    TransformerEncoderLayer,
)
from kerasish.losses import MSE, CrossEntropy
from kerasish.module import Module
from kerasish.regularizers import L2
from kerasish.trees import mapped
from tests.table import LOSSES, MODULES, numbers, seeded
from tests.traces import everything

X, Y = numbers(6, 4, dtype=torch.float32), numbers(6, 1, seed=1, dtype=torch.float32)


def net(*layers, loss="mse", **settings):
    set_seed(0)
    model = Model(*layers, device="cpu")
    model.compile("sgd", loss, **settings)
    return model


def row_of(report, path):
    return next(row for row in report.rows if row.path == path)


def wrong(report):
    return {row.path for row in report.rows if not row.passed}


# ---- what is right passes -------------------------------------------------------------------


def test_each_parameter_and_the_input_have_a_row():
    report = net(Linear(5), Tanh(), Linear(1)).check(X, Y)
    assert [(row.path, row.shape) for row in report.rows] == [
        ("0.weight", (5, 4)), ("0.bias", (5,)), ("2.weight", (1, 5)), ("2.bias", (1,)),
        ("x", (6, 4))]
    assert report.passed and report.culprit == "" and {r.result for r in report.rows} == {"pass"}
    assert all(row.error < 1e-6 for row in report.rows)


def test_the_numbers_are_derivatives():
    model = net(Linear(1, bias=False))
    model.build((1,))
    model.set_weights([[[3.0]]])
    row, of_x = model.check([[2.0]], [[1.0]]).rows
    assert abs(row.backward) == pytest.approx(20.0)  # 2 (3 · 2 - 1) · 2
    assert row.worst == (0, 0) and row.worst_backward == pytest.approx(20.0)
    assert row.worst_difference == pytest.approx(20.0)
    assert of_x.worst_backward == pytest.approx(30.0)  # 2 (3 · 2 - 1) · 3


IMAGES = numbers(3, 1, 6, 6, dtype=torch.float32)
WORDS = torch.tensor([[1, 2, 2], [0, 3, 1]])


@pytest.mark.parametrize(("layers", "x"), [
    ((Linear(5), BatchNorm1d(), Dropout(0.4), GaussianNoise(0.1), Linear(1)), X),
    ((Conv2d(3, kernel_size=3), ReLU(), MaxPool2d(2), Flatten(), Linear(1)), IMAGES),
    ((Embedding(5, 4), GRU(3), Linear(1)), WORDS),
    ((Embedding(5, 4), TransformerEncoderLayer(4, 2, 8), Flatten(), Linear(1)), WORDS),
    ((Linear(4), Residual(Sequential(LayerNorm(), Linear(4), ReLU())), Linear(1)), X),
    ((Recompute(Sequential(Linear(4), Dropout(0.5))), Linear(1)), X),
], ids=["noise", "images", "series", "attention", "residual", "recompute"])
def test_nets_of_all_kinds_pass(layers, x):
    report = net(*layers).check(x, torch.ones(len(x), 1))
    assert report.passed, str(report)
    assert ("x" in {row.path for row in report.rows}) == x.is_floating_point()


@pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)
def test_no_exported_module_is_accused(row):
    with seeded():
        module = row.built().train()
        probe = ModuleProbe(module, row.x(3), row.dy(3), 0)
        assert {each.result for each in verdicts(probe, 1e-6, 2, 0)} <= {"pass"}


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.id)
def test_no_exported_loss_is_accused(row):
    batch = (*mapped(doubled, row.batch(4)), row.weights(4))
    assert {each.result for each in verdicts(LossProbe(row.make(), batch, 0), 1e-6, 2, 0)} == {
        "pass"}


def test_a_shared_module_passes():
    x = Input((4,))
    layer = Linear(4, 4)
    model = net(Graph(x, Concat()((layer(Tanh()(layer(x))), layer(x)))), Linear(1))
    assert model.check(X, Y).passed
    model = net(Shared(Linear(3)), Concat(), Linear(1))
    report = model.check((X, X + 1), Y)
    assert report.passed and [row.path for row in report.rows[-2:]] == ["x[0]", "x[1]"]


def test_several_inputs_and_outputs_with_weights_of_their_own_pass():
    a, b = Input((4,)), Input((2,))
    h = Tanh()(Linear(3)(Concat()((a, b))))
    graph = Graph({"a": a, "b": b}, {"p": Linear(1)(h), "q": Linear(3)(h)})
    model = net(graph, loss={"p": "mse", "q": "cross_entropy"}, loss_weights={"p": 0.3, "q": 2.0})
    x, y = {"a": X, "b": X[:, :2]}, {"p": Y, "q": torch.arange(6) % 3}
    report = model.check(x, y, {"p": torch.linspace(0, 2, 6), "q": torch.linspace(3, 1, 6)})
    assert report.passed and {"x['a']", "x['b']"} <= {row.path for row in report.rows}


def test_an_output_without_a_loss_passes():
    x = Input((4,))
    h = Linear(3)(x)
    model = net(Graph(x, (Linear(1)(h), Linear(2)(h))), loss=["mse", None])
    report = model.check(X, (Y, None))
    assert report.passed
    unused = [row for row in report.rows if row.backward == row.difference == 0.0]
    assert len(unused) == 2  # the weight and the bias of what no loss looks at


def test_frozen_parameters_are_shown_and_not_checked():
    frozen = wrong_dx(Linear, lambda layer, dx: dx)(5)
    frozen.trainable = False
    report = net(frozen, Tanh(), Linear(1)).check(X, Y)
    assert row_of(report, "0.weight").result == "frozen" and report.passed
    assert "frozen" in str(report) and "3 of 3 gradients are right." in str(report)


def test_weights_of_samples_count():
    class Deaf(MSE):
        def forward(self, y_pred, y_true, sample_weight=None):
            value = super().forward(y_pred, y_true, sample_weight)
            if self._saved:
                super().forget()
                super().forward(y_pred, y_true)
            return value

    weights = torch.linspace(0.1, 3, 6)
    assert net(Linear(1)).check(X, Y, weights).passed
    report = net(Linear(1), loss=Deaf()).check(X, Y, weights)
    assert not report.passed and report.culprit == "the loss, Deaf(), dy_pred"


# ---- what is planted wrong is named ---------------------------------------------------------


def wrong_dx(kind, change):
    """A class whose backward is right but for a change to its dx or its gradients."""

    class Wrong(kind):
        def backward(self, dy):
            return change(self, super().backward(dy))

    return Wrong


def corner(layer, dx):
    layer.weight.grad[-1, -1] += 1e-3
    return dx


def transposed(layer, dx):
    layer.weight.grad.copy_(layer.weight.grad.t().clone())
    return dx


def without_bias(layer, dx):
    layer.bias.grad.zero_()
    return dx


def negative(layer, dx):
    layer.weight.grad.neg_()
    return dx


def moved_over(layer, dx):
    """What is missing in one element is too much in the next one."""
    small = layer.weight.grad.view(-1).abs().argsort()[:2]
    layer.weight.grad.view(-1)[small] += torch.tensor([1e-3, -1e-3]).double()
    return dx


@pytest.mark.parametrize(("change", "name"), [
    (corner, "weight"), (moved_over, "weight"), (transposed, "weight"),
    (negative, "weight"), (without_bias, "bias")])
def test_a_wrong_gradient_of_a_parameter_is_found_and_named(change, name):
    report = net(Linear(4), Tanh(), wrong_dx(Linear, change)(4), Tanh(), Linear(1)).check(X, Y)
    assert wrong(report) == {f"2.{name}"} and not report.passed
    assert report.culprit == f"2 Wrong(4), gradient of {name}"
    assert f"First wrong on the way back: {report.culprit}." in str(report)
    assert row_of(report, f"2.{name}").result == "FAIL"


def test_one_wrong_element_among_many_is_found_with_both_numbers():
    model = net(wrong_dx(Linear, corner)(300), ReLU(), Linear(1))
    x = numbers(5, 200, dtype=torch.float32)
    report = model.check(x, Y[:5])
    row = row_of(report, "0.weight")
    assert row.worst == (299, 199)
    assert row.worst_backward - row.worst_difference == pytest.approx(1e-3, rel=1e-5)


@pytest.mark.parametrize("change", [
    lambda layer, dx: dx * 1.001, lambda layer, dx: -dx, lambda layer, dx: dx * 0,
    lambda layer, dx: dx.flip(1), lambda layer, dx: dx.flip(0)])
def test_a_wrong_dx_spoils_what_is_below_and_is_named(change):
    report = net(Linear(5), Tanh(), Sequential(Linear(4), wrong_dx(ReLU, change)()), Linear(3),
                 Tanh(), Linear(1)).check(X, Y)
    assert wrong(report) >= {"0.weight", "0.bias", "2.0.weight", "x"}
    assert not wrong(report) & {"3.weight", "3.bias", "5.weight", "5.bias"}
    assert report.culprit == "2.1 Wrong(), dx"


def test_the_culprit_is_found_below_a_module_with_several_uses():
    act = Tanh()
    report = net(wrong_dx(Linear, negative)(4), act, Linear(3), act, Linear(1)).check(X, Y)
    assert wrong(report) == {"0.weight"} and report.culprit.endswith("gradient of weight")


def test_a_point_close_by_is_left_to_the_bit():
    model = Linear(3)
    model.build((4,))
    probe = ModuleProbe(model.to(torch.float64), X.double(), torch.ones(6, 3).double(), 0)
    before = [each.values.clone() for each in probe.parts()]
    with probe.elsewhere(1):
        assert not any(map(torch.equal, before, [each.values for each in probe.parts()]))
    assert all(map(torch.equal, before, [each.values for each in probe.parts()]))


def test_a_container_that_forgets_the_shortcut_is_named():
    class Forgetful(Residual):
        def backward(self, dy):
            return super().backward(dy) - dy

    report = net(Linear(4), Forgetful(Linear(4)), Linear(1)).check(X, Y)
    assert wrong(report) == {"0.weight", "0.bias", "x"}
    assert report.culprit.startswith("1 Forgetful(") and report.culprit.endswith("), dx")


def test_a_wrong_regularizer_is_named():
    class Wrong(L2):
        def gradient(self, w):
            return self.l2 * w  # 2 is missing

    report = net(Linear(3, weight_regularizer=Wrong(0.1)), Linear(1)).check(X, Y)
    assert wrong(report) == {"0.weight"} and "of 0.weight" in report.culprit
    assert net(Linear(3, weight_regularizer=L2(0.1)), Linear(1)).check(X, Y).passed


def test_a_module_that_is_wrong_in_its_second_use_alone_is_not_blamed_alone():
    class Once(Tanh):
        uses = 0

        def backward(self, dy):
            self.uses += 1
            return super().backward(dy) * (1 if self.uses % 2 else 2)

    layer = Once()
    report = net(Linear(4), layer, layer, Linear(1)).check(X, Y)
    assert not report.passed and report.culprit


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_fails_at_its_place(value):
    def spoil(layer, dx):
        layer.weight.grad[1, 2] = value
        return dx

    row = row_of(net(wrong_dx(Linear, spoil)(3), Linear(1)).check(X, Y), "0.weight")
    assert row.result == "FAIL" and row.worst == (1, 2) and not math.isfinite(row.worst_backward)


def test_a_backward_without_dx_fails():
    class NoDx(Linear):
        def backward(self, dy):
            super().backward(dy)

    report = net(NoDx(3), Linear(1)).check(X, Y)
    assert wrong(report) == {"x"} and report.culprit == "0 NoDx(3), dx"


def test_a_dx_of_another_shape_is_refused_with_its_place():
    with pytest.raises(ValueError, match="expects to give dx in the shape of x"):
        net(wrong_dx(Tanh, lambda layer, dx: dx[:, :1])(), Linear(1)).check(X, Y)


# ---- kinks ----------------------------------------------------------------------------------


def test_relu_at_zero_is_a_kink_and_no_failure():
    report = net(Linear(5), ReLU(), Linear(1)).check(torch.zeros(6, 4), Y)
    assert report.passed and row_of(report, "0.bias").result == "kink"
    assert row_of(report, "2.bias").result == "pass"
    assert "backward is right close by" in str(report)


def test_equal_maxima_are_a_kink_and_no_failure():
    report = net(GlobalMaxPool(), Linear(1)).check(torch.ones(3, 2, 4), Y[:3])
    assert report.passed and row_of(report, "x").result == "kink"


def test_an_error_of_zero_is_a_kink_of_the_absolute_error():
    model = net(Linear(1), loss="mae")
    model.build((4,))
    report = model.check(X, model.predict(X, verbose=0))
    assert report.passed and "FAIL" not in str(report)


@pytest.mark.parametrize("change", [
    lambda layer, dx: dx * 1.01, lambda layer, dx: -dx, lambda layer, dx: dx * 0])
@pytest.mark.parametrize("x", [X, torch.zeros(6, 4)], ids=["", "at a kink"])
def test_a_wrong_backward_is_never_excused_as_a_kink(change, x):
    report = net(Linear(5), wrong_dx(ReLU, change)(), Linear(1)).check(x, Y)
    assert row_of(report, "0.bias").result == "FAIL" and report.culprit == "1 Wrong(), dx"
    if x is X:
        assert wrong(report) == {"0.weight", "0.bias", "x"}


def test_a_mistake_at_a_single_point_is_no_kink():
    class Square(Module):
        formula = "y = x |x|"

        def forward(self, x):
            self.save_for_backward(x)
            return x * x.abs() + x

        def backward(self, dy):
            (x,) = self.saved_tensors()
            return dy * (2 * x.abs() + (x != 0))  # at 0 the slope is 1

    assert net(Square()).check(X, X, seed=1).passed
    report = net(Square()).check(torch.zeros(6, 4), X)
    assert wrong(report) == {"x"} and report.culprit == "Square(), dx"


def test_a_gradient_of_rounding_alone_passes_with_a_small_error():
    report = net(Linear(5), BatchNorm1d(), Linear(1)).check(X, Y)
    row = row_of(report, "0.bias")  # the norm takes any bias away
    assert row.result == "pass" and row.error < 1e-6
    assert abs(row.backward) < 1e-12  # in training: running statistics would leave it its slope


def test_many_kinks_close_by_spoil_nothing():
    set_seed(0)
    report = net(Linear(300), ReLU(), Linear(300), ReLU(), Linear(1)).check(
        torch.randn(64, 20), torch.randn(64, 1))
    assert {row.result for row in report.rows} == {"pass"}


# ---- the report, settings, traces -----------------------------------------------------------


def test_the_table_is_aligned_and_tells_both_numbers():
    lines = str(net(Linear(5), Tanh(), Linear(1)).check(X, Y)).splitlines()
    assert lines[0].split() == ["Gradient", "of", "Shape", "backward", "differences", "error",
                                "worst", "element", "backward", "differences", "result"]
    rows = [line for line in lines if line.endswith("pass")]
    assert len(rows) == 5 and len({len(line) for line in [lines[0], *rows]}) == 1
    assert lines[-1] == "5 of 5 gradients are right."


def test_the_same_seed_gives_the_same_report():
    model = net(Linear(5), Dropout(0.5), Linear(1))
    model.build((4,))
    assert model.check(X, Y) == model.check(X, Y) != model.check(X, Y, seed=1)


def test_passes_do_not_grow_with_the_number_of_elements():
    def passes_of(size):
        class Counting(Tanh):
            count = 0

            def forward(self, x):
                Counting.count += 1
                return super().forward(x)

        assert net(Linear(size), Counting(), Linear(1)).check(X, Y).passed
        return Counting.count

    assert passes_of(200) <= 1.3 * passes_of(4)


@pytest.mark.parametrize(("settings", "message"), [
    ({"tolerance": -1}, r"Model\.check\(tolerance\) expects .* above 0; got -1\. 1e-6"),
    ({"elements": 0}, r"Model\.check\(elements\) expects .* at least 1; got 0\. 1 is usual"),
    ({"seed": -1}, r"Model\.check\(seed\) expects an integer from 0"),
])
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        net(Linear(1)).check(X, Y, **settings)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match=r"Model\.check expects a compiled model"):
        Model(Linear(1), device="cpu").check(X, Y)
    with pytest.raises(ValueError, match=r"check\(y\) expects targets"):
        net(Linear(1)).check(X)
    with pytest.raises(ValueError, match="got 6 in x and 5 in y"):
        net(Linear(1)).check(X, Y[:5])


def test_a_model_with_losses_of_its_own_says_so():
    class Own(Model):
        def train_step(self, x, y, sample_weight=None):
            raise NotImplementedError

    model = Own(Linear(1), device="cpu")
    model.compile("sgd", None)
    with pytest.raises(RuntimeError, match="Give compile the loss that is meant"):
        model.check(X, Y)


def test_it_leaves_no_trace():
    model = net(Linear(5, weight_regularizer="l2"), BatchNorm1d(), ReLU(), Dropout(0.5),
                wrong_dx(Linear, corner)(4), Sigmoid(), Linear(3), loss=CrossEntropy())
    classes = torch.arange(6) % 3
    model.fit(X, classes, epochs=2, verbose=0, seed=3)
    before, revisions = everything(model), Parameter.revisions
    assert not model.check(X, classes).passed
    assert everything(model) == before and revisions <= Parameter.revisions
    with pytest.raises(ValueError):
        model.check(X, classes[:3])
    assert everything(model) == before


def test_it_leaves_no_trace_when_a_module_raises():
    class Raises(Module):
        formula = "y = x"

        def forward(self, x):
            self.save_for_backward()
            return x

        def backward(self, dy):
            raise ArithmeticError("no")

    model = net(Linear(4), Raises(), Linear(1))
    model.build((4,))
    before = everything(model)
    with pytest.raises(ArithmeticError):
        model.check(X, Y)
    assert everything(model) == before


def test_an_unbuilt_model_stays_unbuilt():
    model = net(Linear(5), Linear(1))
    before = everything(model)
    assert model.check(X, Y).passed and not model.built
    assert everything(model) == before


def test_numbers_that_are_not_finite_are_no_fault_of_a_module():
    x = X.clone()
    x[1, 2] = math.nan
    report = net(Linear(5), Tanh(), Linear(1)).check(x, Y)
    assert not report.passed and report.culprit.startswith("unknown, as the loss is nan")


# ---- what rounding hides --------------------------------------------------------------------


@pytest.mark.parametrize("layer", [
    Linear, wrong_dx(Linear, without_bias),
    wrong_dx(Linear, lambda layer, dx: layer.bias.grad.mul_(-3) is None or dx)],
    ids=["right", "zero", "wrong"])
def test_a_gradient_that_rounding_of_the_loss_hides_is_not_called_right(layer):
    report = net(layer(2)).check(1e18 * X, numbers(6, 2, seed=1))
    row = row_of(report, "bias")
    assert row.result == "too small to tell" and not row.passed and not report.passed
    assert row_of(report, "weight").result == "pass" and report.culprit == ""
    assert "2 of 3 gradients are right." in str(report) and "Scale x and y down." in str(report)


def test_a_gradient_of_zero_that_is_rounding_alone_is_right():
    report = net(Linear(5), BatchNorm1d(), Linear(1)).check(X, Y)
    assert report.passed and row_of(report, "0.bias").result == "pass"
