"""TerminateOnNaN finds the module that made the first value that is not finite."""

import pytest
import torch

from kerasish.callbacks import Callback, LambdaCallback, TerminateOnNaN
from kerasish.containers import Concat, Graph, Input, Recompute, Residual, Sequential, Shared
from kerasish.layers import BatchNorm1d, Dropout, Linear, ReLU, Tanh
from kerasish.module import Module
from kerasish.optimizers import Adam
from kerasish.random import global_states
from kerasish.trees import mapped
from tests.callbacks.diverges import INF, NAN, Breaks, Log, Odd, compiled, data, fit, said


def graph(module: Module) -> Graph:
    """The module, called twice in a row."""
    x = Input((1,))
    return Graph(x, Linear(1)(module(module(x))))


def shared(module: Module) -> Graph:
    """The module, used for each of two inputs."""
    x = Input((1,))
    return Graph(x, Concat()(Shared(module)((x, Linear(1)(x)))))


@pytest.mark.parametrize(("modules", "place"), [
    ((Linear(3), Log(), Linear(2), Tanh(), Linear(1)), "Log() at '1'"),
    ((Linear(3), Tanh(), Sequential(Linear(2), Sequential(Log(), Linear(2))), Linear(1)),
     "Log() at '2.1.0'"),
    ((Log(), Linear(1)), "Log() at '0'"),
    ((Linear(3), ReLU(), Linear(2), Residual(Sequential(Log(), Tanh())), Linear(1)),
     "Log() at '3.body.0'"),
    ((Linear(3), Recompute(Sequential(Linear(2), Log())), Linear(1)), "Log() at '1.module.1'"),
    ((graph(Log()),), "Log() at '0'"),
    ((shared(Sequential(Tanh(), Log())), Linear(1)), "Log() at '0.1.module.1'"),
    ((Linear(3), BatchNorm1d(), Log(), BatchNorm1d(), Linear(1)), "Log() at '2'"),
    ((Linear(3), Dropout(0.2), Log(), Linear(1)), "Log() at '2'"),
], ids=["middle", "nested", "first", "Residual", "Recompute", "Graph", "Shared", "batch norm",
        "noise"])  # fmt: skip
def test_it_names_the_module_whose_output_is_the_first_that_is_not_finite(modules, place, capsys):
    fit(compiled(*modules), TerminateOnNaN(), bad=None, batch_size=8)
    message = said(capsys)
    assert f"; {place} is the first whose output is not finite" in message
    assert "Its data is finite" in message


def test_it_names_an_activation_that_the_layer_before_it_runs(capsys) -> None:
    class Bursts(Tanh):
        kernels = (lambda x: x.fill_(INF), lambda dy, y: dy * NAN)

        def forward(self, x):
            return super().forward(x) + INF

    fit(compiled(Linear(3), Tanh(), Linear(2), Bursts(), Linear(1)), TerminateOnNaN(), bad=None)
    assert "Bursts() at '3' is the first whose output is not finite" in said(capsys)


def test_a_container_that_reckons_by_itself_is_named(capsys) -> None:
    class Ratio(Module):
        def __init__(self):
            self.above, self.below = Tanh(), Tanh()

        def forward(self, x):
            return self.below.forward(self.above.forward(x) * NAN)

        def backward(self, dy):
            return self.above.backward(self.below.backward(dy))

    fit(compiled(Linear(3), Ratio(), Linear(1)), TerminateOnNaN(), bad=None)
    assert "Ratio() at '1' is the first whose output is not finite" in said(capsys)


@pytest.mark.parametrize("bad", [NAN, INF], ids=str)
def test_where_the_inputs_are_bad_it_names_the_first_module_of_all(bad: float, capsys) -> None:
    fit(compiled(), TerminateOnNaN(), bad=bad)
    message = said(capsys)
    assert "Linear(3) at '0' is the first whose output is not finite. The inputs of" in message


@pytest.mark.parametrize("name", ["targets", "sample weights"])
def test_where_the_targets_or_weights_are_bad_it_is_the_loss(name: str, capsys) -> None:
    model, (x, y) = compiled(), data()
    weights = torch.ones(16)
    (y if name == "targets" else weights)[9] = NAN
    model.fit(x, y, 2, shuffle=False, verbose=0, sample_weight=weights, callbacks=TerminateOnNaN())
    message = said(capsys)
    assert f"the predictions are finite, but MSE() of them is not. The {name} of" in message


def test_predictions_too_large_for_the_loss_are_the_loss_s(capsys) -> None:
    model = compiled(Linear(1, weight_initializer="zeros"))
    model.fit(torch.ones(4, 1), torch.full((4, 1), 1e30), verbose=0, callbacks=TerminateOnNaN())
    message = said(capsys)
    assert "the loss is inf; the predictions are finite, but MSE() of them is not." in message


def test_looking_for_it_changes_nothing(capsys) -> None:
    """Neither weights, slots and counters nor random states nor running statistics."""

    class Sees(Callback):
        def on_backward_end(self, batch) -> None:
            self.before = self.everything()

        def on_settled(self, epoch, batch=None) -> None:
            if self.model.diverged and batch is not None:
                self.after = self.everything()

        def everything(self) -> str:
            model = self.model
            parts = [sorted([*vars(part), type(part).__name__]) for part in model.module.modules()]
            return repr(mapped(lambda each: getattr(each, "tolist", lambda: each)(), [
                model.module.state_dict(), model.optimizer.state_dict(), global_states(),
                model.run.noise.state(), parts]))

    class Draws(Tanh):
        def forward(self, x):
            return super().forward(x) + torch.rand(())

    sees, model = Sees(), compiled(Linear(3), BatchNorm1d(), Dropout(0.4), Draws(), Linear(1),
                                   loss=Odd(NAN, after=5))
    fit(model, sees, TerminateOnNaN(), bad=None)
    assert "the predictions are finite" in said(capsys)
    assert sees.before == sees.after and model.optimizer.iterations == 5


@pytest.mark.parametrize("steps", [None, 3])
def test_the_update_that_is_taken_back_does_not_count(steps: int | None) -> None:
    model = compiled(optimizer=Adam(0.1, gradient_accumulation_steps=steps, use_ema=True))
    fit(model, TerminateOnNaN())
    other = compiled(optimizer=Adam(0.1, gradient_accumulation_steps=steps, use_ema=True))
    fit(other, LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(
        other, "stop_training", batch == 2)), bad=None)
    assert model.optimizer.iterations == other.optimizer.iterations == (1 if steps else 3)


def test_a_module_that_cannot_be_run_again_leaves_the_order_of_backward(capsys) -> None:
    class Once(Breaks):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    fit(compiled(Linear(3), Once(NAN), Linear(1)), TerminateOnNaN(), bad=None)
    assert "going backward, the first module with a value that is not finite is Linear(3)" in said(
        capsys)
