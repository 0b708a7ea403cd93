"""Model.explain: formulas, live shapes, and norms that a computation by hand gives too."""

import math
import os
import re
from html.parser import HTMLParser

import pytest
import torch

from kerasish import Model, Sequential, set_seed
from kerasish.containers import Concat, Graph, Input, Recompute, Residual
from kerasish.insight.formulas import formulas_of, letters_of, with_shapes
from kerasish.layers import (
    LSTM,
    BatchNorm1d,
    Dropout,
    Embedding,
    Lambda,
    LayerNorm,
    Linear,
    ReLU,
    Tanh,
)
from kerasish.losses import MSE
from kerasish.module import Module
from kerasish.regularizers import L2
from tests.table import numbers
from tests.traces import everything

X, Y = numbers(6, 4, dtype=torch.float32), numbers(6, 1, seed=1, dtype=torch.float32)


def net(*layers, loss="mse", **settings):
    set_seed(0)
    model = Model(*layers, device="cpu")
    model.compile("sgd", loss, **settings)
    return model


def steps_of(explanation, kind):
    return [step for step in explanation.steps if step.kind == kind]


def step_of(explanation, kind, path):
    (step,) = [step for step in steps_of(explanation, kind) if step.path == path]
    return step


# ---- known numbers --------------------------------------------------------------------------


def by_hand():
    """Two layers on one sample: h = W₁ x = (3, -4), a = max(h, 0) = (3, 0), y = 2 · 3 + 1."""
    model = net(Linear(2, bias=False), ReLU(), Linear(1))
    model.build((2,))
    model.set_weights([[[1.0, 1.0], [-2.0, -1.0]], [[2.0, 5.0]], [1.0]])
    return model, [[1.0, 2.0]], [[5.0]]


def test_the_numbers_are_those_of_a_computation_by_hand():
    model, x, y = by_hand()
    told = model.explain(x, y)
    forth = {step.path: step.norms for step in steps_of(told, "forward")}
    assert forth == {"0": {"y": 5.0}, "1": {"y": 3.0}, "2": {"y": 7.0}}
    (loss,) = steps_of(told, "loss")
    assert loss.norms == {"L": 4.0}  # (7 - 5)²
    start, *back = steps_of(told, "backward")
    assert (start.name, start.norms) == ("MSE()", {"dy_pred": 4.0})  # 2 (7 - 5)
    root = math.sqrt
    assert [(step.path, step.norms) for step in back] == [
        ("2", {"dy": 4.0, "dx": pytest.approx(4 * root(29)), "weight": 12.0, "bias": 4.0}),
        ("1", {"dy": pytest.approx(4 * root(29)), "dx": 8.0}),
        ("0", {"dy": 8.0, "dx": pytest.approx(8 * root(2)), "weight": pytest.approx(8 * root(5))}),
    ]


def test_it_prints_as_a_list():
    model, x, y = by_hand()
    assert str(model.explain(x, y)) == """\
Forward
  0 Linear(2, bias=False)   y = x Wᵀ
      y (1, 2) = x (1, 2) Wᵀ (2, 2)
      ‖y‖ 5
  1 ReLU()   y = max(x, 0)
      y (1, 2) from x (1, 2)
      ‖y‖ 3
  2 Linear(1)   y = x Wᵀ + b
      y (1, 1) = x (1, 2) Wᵀ (2, 1) + b (1,)
      ‖y‖ 7

Loss
  MSE()   L = mean (y_pred - y_true)²
      y_pred (1, 1), y_true (1, 1)
      L = 4

Backward
  MSE()   dy_pred = 2 (y_pred - y_true) / n
      dy_pred (1, 1)
      ‖dy_pred‖ 4
  2 Linear(1)   dx = dy W,  dW = dyᵀ x,  db = Σ dy over all rows
      dx (1, 2) = dy (1, 1) W (1, 2)
      dW (1, 2) = dyᵀ (1, 1) x (1, 2)
      db (1,) = Σ dy (1, 1)
      ‖dy‖ 4   ‖dx‖ 21.5   ‖dW‖ 12   ‖db‖ 4
  1 ReLU()   dx = dy where y > 0, else 0
      dx (1, 2) from dy (1, 2), y (1, 2)
      ‖dy‖ 21.5   ‖dx‖ 8
  0 Linear(2, bias=False)   dx = dy W,  dW = dyᵀ x
      dx (1, 2) = dy (1, 2) W (2, 2)
      dW (2, 2) = dyᵀ (2, 1) x (1, 2)
      ‖dy‖ 8   ‖dx‖ 11.3   ‖dW‖ 17.9"""


def test_gradients_are_those_of_a_step_of_training():
    model = net(Linear(5), BatchNorm1d(), Tanh(), Linear(1))
    model.build((4,))
    told = model.explain(X, Y, torch.linspace(0, 2, 6))
    model.module.train()
    model.loss.forward(model.module.forward(X), Y, torch.linspace(0, 2, 6))
    model.module.backward(model.loss.backward())
    for step in steps_of(told, "backward")[1:]:
        for name in ("weight", "bias"):
            if name in step.norms:
                grad = getattr(model.get_layer(step.path), name).grad
                assert step.norms[name] == pytest.approx(float(grad.norm()))
    assert "sample_weight (6,)" in steps_of(told, "loss")[0].shapes[0]


def test_it_runs_in_the_type_of_the_model():
    kinds = []

    def forward(x):
        kinds.append(x.dtype)
        return x

    model = net(Lambda(forward, lambda dy, x, y: dy), Linear(1))
    model.explain(X.double(), Y)
    assert set(kinds) == {torch.float32}


# ---- what stands in the list ----------------------------------------------------------------


def test_parts_of_containers_are_indented_and_a_shortcut_is_seen():
    told = net(Linear(4), Residual(Sequential(Linear(4), Tanh())), Linear(1)).explain(X, Y)
    depths = {step.path: step.depth for step in steps_of(told, "forward")}
    assert depths == {"0": 0, "1": 0, "1.body": 1, "1.body.0": 2, "1.body.1": 2, "1.shortcut": 1,
                      "1.merge": 1, "2": 0}
    order = [step.path for step in steps_of(told, "backward")]
    assert order == ["", "2", "1", "1.merge", "1.shortcut", "1.body", "1.body.1", "1.body.0", "0"]
    shortcut = step_of(told, "backward", "1.shortcut")
    assert shortcut.norms["dx"] == shortcut.norms["dy"]
    assert "\n    1.shortcut Identity()   dx = dy\n" in str(told)


def test_a_shared_module_says_so_and_tells_each_share():
    x = Input((4,))
    layer = Linear(4, 4)
    model = net(Graph(x, Concat()((layer(Tanh()(layer(x))), layer(x)))), Linear(1))
    model.build((4,))
    told = model.explain(X, Y)
    notes = [step.note for step in steps_of(told, "forward") if step.path == "0.0"]
    assert notes == ["", "use 2 of the same module", "use 3 of the same module"]
    back = [step for step in steps_of(told, "backward") if step.path == "0.0"]
    assert [bool(step.note) for step in back] == [True] * 3
    assert len({step.norms["weight"] for step in back}) == 3
    chain = net(layer2 := Linear(4, 4), Tanh(), layer2, Linear(1)).explain(X, Y)
    assert steps_of(chain, "forward")[0].note == "shared, also at 2"


def test_each_use_tells_its_own_share_and_its_own_shapes():
    layer, act = Linear(1, bias=False), Tanh()
    model = net(layer, layer)
    model.build((1,))
    model.set_weights([[[2.0]]])
    back = steps_of(model.explain([[1.0]], [[0.0]]), "backward")
    # h = 2, y = 4, dy = 8: the second use gives dW = 8 · 2, dx = 16, the first dW = 16 · 1
    assert [step.norms["weight"] for step in back[1:]] == [16.0, 16.0]
    told = net(Linear(4), act, Linear(3), act, Linear(1)).explain(X, Y)
    lines = [step.shapes[0] for step in steps_of(told, "backward") if "Tanh" in step.name]
    assert lines == [f"dx (6, {n}) from dy (6, {n}), y (6, {n})" for n in (3, 4)]


def test_penalties_come_with_the_loss_and_after_the_way_back():
    model, x, y = by_hand()
    model.module[2].weight.regularizer = L2(0.5)
    told = model.explain(x, y)
    loss, penalty, total = steps_of(told, "loss")
    assert (loss.norms, penalty.norms, total.norms) == ({"L": 4.0}, {"r": 14.5}, {"L": 18.5})
    assert (penalty.path, penalty.formula) == ("2.weight", "r = λ Σ w²")
    last = steps_of(told, "backward")[-1]
    assert last.path == "2.weight" and last.norms == {
        "dr": pytest.approx(math.sqrt(29)), "dw": pytest.approx(math.hypot(14, 5))}


def test_what_is_frozen_says_so():
    frozen = Linear(3)
    frozen.trainable = False
    step = step_of(net(frozen, Linear(1)).explain(X, Y), "backward", "0")
    assert step.shapes == ("dx (6, 4) = dy (6, 3) W (3, 4)", "dW: frozen", "db: frozen")
    assert set(step.norms) == {"dy", "dx"}


def test_integers_have_no_dx():
    told = net(Embedding(5, 4), LSTM(3), Linear(2), loss="cross_entropy").explain(
        torch.tensor([[1, 2], [0, 3]]), torch.tensor([0, 1]))
    step = step_of(told, "backward", "0")
    assert "dx" not in step.norms and step.shapes[-1] == "dx: none"
    assert {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"} <= set(
        step_of(told, "backward", "1").norms)


def test_a_formula_of_what_is_inside_comes_with_the_shapes_outside():
    told = net(Embedding(5, 4), LSTM(3), Linear(2), loss="cross_entropy").explain(
        torch.zeros(2, 6, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    embedding, lstm, _ = steps_of(told, "forward")
    assert embedding.shapes == ("y (2, 6, 4) from W (5, 4), x (2, 6)",)
    assert lstm.shapes == ("y (2, 3) from x (2, 6, 4)",)


def test_what_is_computed_again_stands_on_the_way_back():
    told = net(Recompute(Linear(3)), Linear(1)).explain(X, Y)
    assert [step.path for step in steps_of(told, "forward")] == ["0", "0.module", "1"]
    again = [step for step in steps_of(told, "backward") if step.note == "computed again"]
    assert [step.path for step in again] == ["0.module"] and again[0].formula == "y = x Wᵀ + b"


def test_several_inputs_and_outputs_are_told_with_their_losses():
    a, b = Input((4,)), Input((2,))
    h = Linear(3)(Concat()((a, b)))
    model = net(Graph({"a": a, "b": b}, {"p": Linear(1)(h), "q": Linear(3)(h)}),
                loss={"p": "mse", "q": "cross_entropy"})
    told = model.explain({"a": X, "b": X[:, :2]}, {"p": Y, "q": torch.arange(6) % 3})
    (loss,) = steps_of(told, "loss")
    assert loss.norms["L"] == pytest.approx(loss.norms["p_loss"] + loss.norms["q_loss"])
    assert loss.shapes == ("y_pred {p: (6, 1), q: (6, 3)}, y_true {p: (6, 1), q: (6,)}",)
    assert "x1 (6, 4), x2 (6, 2)" in "".join(
        line for step in told.steps for line in step.shapes)


def test_a_model_of_one_module_has_one_step_each_way():
    told = net(Linear(1)).explain(X, Y)
    assert [(step.kind, step.title) for step in told.steps] == [
        ("forward", "Linear(1)"), ("loss", "MSE()"), ("backward", "MSE()"),
        ("backward", "Linear(1)")]


# ---- formulas -------------------------------------------------------------------------------


class Twice(Linear):
    """Has a backward of its own, and says nothing about it."""

    def backward(self, dy):
        return 2 * super().backward(dy)


class Silent(Module):
    def forward(self, x):
        self.save_for_backward()
        return x

    def backward(self, dy):
        self.saved_tensors()
        return dy


def test_a_formula_is_believed_where_it_stands_beside_its_method():
    assert formulas_of(Twice(2)).forward == "y = x Wᵀ + b"
    assert formulas_of(Twice(2)).backward == ("dx = backward(dy) of Twice",)
    assert formulas_of(Silent()).forward == "y = forward(x) of Silent"
    told = str(net(Silent(), Twice(1)).explain(X, Y))
    assert "1 Twice(1)   dx = backward(dy) of Twice\n" in told


def test_parameters_that_there_are_not_are_left_out():
    norm = LayerNorm(elementwise_affine=False)
    norm.build((4,))
    told = formulas_of(norm)
    assert told.forward == "y = (x - μ) / √(σ² + ε), over the last axes"
    assert told.backward == ("dx = (dy - mean(dy) - x̂ mean(dy x̂)) / √(σ² + ε)",)
    assert letters_of(norm) == {}


@pytest.mark.parametrize(("formula", "expected"), [
    ("y = x Wᵀ + b", "y (5, 4, 2) = x (5, 4, 3) Wᵀ (3, 2) + b (2,)"),
    ("dW = dyᵀ x", "dW (2, 3) = dyᵀ (2, 20) x (20, 3)"),
    ("db = Σ dy over all rows", "db (2,) = Σ dy (5, 4, 2)"),
    ("dx_i = y_i (dy_i - Σ_j y_j dy_j)", "dx (5, 4, 3) from y (5, 4, 2), dy (5, 4, 2)"),
    ("dW[i] = Σ dy over the places where x = i", "dW (2, 3) = Σ dy (5, 4, 2)"),
    ("dx = max(xy, dyx) exp(z)", "dx (5, 4, 3)"),
    ("dq = da k / √d", ""),
    ("no formula", ""),
])
def test_shapes_come_into_formulas(formula, expected):
    shapes = {"x": (5, 4, 3), "y": (5, 4, 2), "dx": (5, 4, 3), "dy": (5, 4, 2), "W": (2, 3),
              "b": (2,), "dW": (2, 3), "db": (2,)}
    assert with_shapes(formula, shapes, {"W", "b", "dW", "db"}) == expected


# ---- the page -------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags that stay open, and all text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_what_the_list_says(tmp_path):
    model, x, y = by_hand()
    told = model.explain(x, y)
    told.to_html(tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and page.links == [] and "prefers-color-scheme:dark" in text
    assert told._repr_html_() in text
    shown = " ".join(page.text)
    for step in told.steps:
        assert all(each in shown for each in (step.title, step.formula, *step.shapes,
                                              *step.numbers))
    assert os.listdir(tmp_path / "new") == ["page.html"]


def test_the_page_escapes_all_text():
    class Named(MSE):
        formula = "<script>alert(1)</script> & more"

        def forward(self, y_pred, y_true, sample_weight=None):
            return super().forward(y_pred, y_true, sample_weight)

        def __repr__(self):
            return "<b onclick='x'>"

    text = net(Linear(1), loss=Named()).explain(X, Y)._repr_html_()
    assert "<script" not in text and "<b onclick" not in text and "&lt;script&gt;" in text
    assert re.search(r"&amp; more", text)


# ---- errors and traces ----------------------------------------------------------------------


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match=r"Model\.explain expects a compiled model"):
        Model(Linear(1), device="cpu").explain(X, Y)
    with pytest.raises(ValueError, match=r"explain\(y\) expects targets"):
        net(Linear(1)).explain(X)


def test_it_leaves_no_trace():
    model = net(Linear(5, weight_regularizer="l2"), BatchNorm1d(), Dropout(0.5), Tanh(), Linear(1))
    model.fit(X, Y, epochs=2, verbose=0, seed=3)
    before = everything(model)
    first = model.explain(X, Y)
    assert first == model.explain(X, Y)  # the same noise: none was used up
    assert everything(model) == before


def test_it_leaves_no_trace_when_a_module_raises():
    def backward(dy, x, y):
        raise ArithmeticError("no")

    model = net(Linear(4), Lambda(lambda x: x, backward), Linear(1))
    model.build((4,))
    before = everything(model)
    with pytest.raises(ArithmeticError):
        model.explain(X, Y)
    assert everything(model) == before


def test_an_unbuilt_model_stays_unbuilt():
    model = net(Linear(5), Linear(1))
    before = everything(model)
    assert model.explain(X, Y).steps and not model.built
    assert everything(model) == before
