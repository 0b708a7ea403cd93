"""What the tools of insight share: a prompt gets one line, and what they cannot take is refused."""

import pytest
import torch

from kerasish import Model, find_batch_size, lr_find
from kerasish.callbacks import NanTracer
from kerasish.insight import plot_confusion_matrix, plot_decision_boundary
from kerasish.layers import Lambda, Linear
from tests.table import numbers
from tests.traces import everything

X, Y = numbers(6, 4, dtype=torch.float32), numbers(6, 1, seed=1, dtype=torch.float32)


def net(*layers):
    model = Model(*layers, device="cpu")
    model.compile("sgd", "mse")
    return model


def test_the_prompt_gets_one_short_line(tmp_path):
    model = net(Linear(1))
    assert repr(model.check(X, Y)) == "<CheckReport of 3 rows: 3 passed>"
    assert repr(model.explain(X, Y)) == "<Explanation of 4 steps>"
    norms = model.per_sample_gradient_norms(X, Y)
    assert repr(norms) == f"<SampleNorms of 6 samples: largest {norms.total.max():.4g}>"


def test_the_prompt_gets_one_short_line_of_a_replay(tmp_path):
    model = net(Linear(1), Lambda(lambda x: x * float("nan"), lambda dy, x, y: dy))
    tracer = NanTracer(tmp_path)
    model.fit(X, Y, 6, verbose=0, callbacks=tracer)
    told = repr(model.replay(tracer.saved[0]))
    assert told.startswith("<Replay of step 1: first not finite: ") and "\n" not in told


class Own(Model):
    """Trains with a loss that it works out itself."""

    def train_step(self, x, y, sample_weight=None):
        y_pred = self.module.forward(x)
        self.backward(y_pred - y)
        self.step()
        return {"loss": (y_pred - y).square().mean()}


@pytest.mark.parametrize(("tool", "who"), [
    (Model.check, r"Model\.check"), (Model.explain, r"Model\.explain"),
    (Model.per_sample_gradient_norms, r"Model\.per_sample_gradient_norms"),
    (plot_confusion_matrix, r"plot_confusion_matrix\(model\)"),
    (plot_decision_boundary, r"plot_decision_boundary\(model\)")])
def test_what_needs_a_loss_refuses_a_model_without_before_it_runs(tool, who, monkeypatch):
    model = Own(Linear(1), device="cpu")
    model.compile("sgd", None)
    before = everything(model)
    monkeypatch.setattr(Linear, "forward", None)
    with pytest.raises(RuntimeError, match=rf"^{who} expects a model compiled with a loss; got one "
                                           r"with loss=None, .* Give compile the loss that is mea"):
        tool(model, X, Y)
    assert everything(model) == before


def test_what_runs_the_step_takes_a_model_without_a_loss():
    model = Own(Linear(1), device="cpu")
    model.compile("sgd", None)
    assert model.profile(X, Y, repeats=1).step_ms > 0
    assert model.plan(6, X, Y).peak > 0
    assert len(lr_find(model, X, Y, num_steps=20).losses) > 1
    assert find_batch_size(model, X, Y, most=2).suggestion


@pytest.mark.parametrize("name", ["a.png", "a", "a.svg"])
def test_a_page_has_the_name_of_one(tmp_path, name):
    told = net(Linear(1)).explain(X, Y)
    with pytest.raises(ValueError, match=r"to_html\(path\) expects a name that ends in \.html; go"):
        told.to_html(tmp_path / name)
    assert not list(tmp_path.iterdir())
    told.to_html(tmp_path / "a.HTM")
    assert (tmp_path / "a.HTM").exists()
