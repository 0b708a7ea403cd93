"""TerminateOnNaN: which batch and module it names, and what is left of the model."""

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, LambdaCallback, TerminateOnNaN
from kerasish.layers import BatchNorm1d, Linear, Tanh
from kerasish.losses import MSE
from kerasish.optimizers import SGD, Adam
from tests.callbacks.diverges import INF, NAN, Breaks, Odd, compiled, data, fit, said
from tests.callbacks.states import same


class Before(Callback):
    """Keeps the weights from before each update, and counts the batches."""

    def __init__(self) -> None:
        self.batches, self.ended = 0, False

    def on_train_batch_begin(self, batch, logs=None) -> None:
        self.batches += 1
        self.weights = self.model.module.state_dict()

    def on_train_end(self, logs=None) -> None:
        self.ended = True


@pytest.mark.parametrize("bad", [NAN, INF], ids=str)
@pytest.mark.parametrize(
    "optimizer",
    [lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9, weight_decay=0.1), lambda: Adam(0.1),
     lambda: Adam(0.1, gradient_accumulation_steps=3), lambda: Adam(0.1, global_clipnorm=1.0)],
    ids=["plain", "momentum and decay", "Adam", "accumulated", "clipped"],
)  # fmt: skip
def test_training_ends_with_the_last_good_weights(optimizer, bad: float) -> None:
    model, before, callback = compiled(optimizer=optimizer()), Before(), TerminateOnNaN()
    fit(model, before, callback, bad=bad)
    assert before.batches == 4 and before.ended and model.stop_training and model.diverged
    assert same(before.weights, model.module.state_dict())
    for slots in model.optimizer.state.values():
        assert all(slot.isfinite().all() for slot in slots.values())
    assert callback._before is None, "the copy is let go"


def test_without_it_the_weights_would_be_lost() -> None:
    model = compiled()
    fit(model)
    assert not any(value.isfinite().all() for value in model.module.state_dict().values())


def test_a_later_fit_goes_on_from_them() -> None:
    model = compiled()
    fit(model, TerminateOnNaN())
    model.diverged = False
    history = fit(model, TerminateOnNaN(), bad=None, epochs=20).history["loss"]
    assert len(history) == 20 and history[-1] < history[0] and not model.diverged


def test_good_training_is_left_as_it_is() -> None:
    plain, watched = compiled(), compiled()
    assert fit(plain, bad=None).history == fit(watched, TerminateOnNaN(), bad=None).history
    assert same(plain.module.state_dict(), watched.module.state_dict())
    assert not getattr(watched, "diverged", False) and not watched.stop_training


def test_it_names_the_batch_and_counts_as_the_progress_line_does(capsys) -> None:
    model = compiled(Linear(3), Tanh(), Breaks(NAN, after=8 + 2), Linear(1))
    fit(model, TerminateOnNaN(), bad=None)
    assert "Batch 3 of epoch 2: the gradients are not finite" in said(capsys)


@pytest.mark.parametrize("value", [NAN, INF, -INF], ids=str)
def test_it_names_where_backward_broke(value: float, capsys) -> None:
    model = compiled(Linear(3), Tanh(), Linear(5), Breaks(value), Linear(1))
    fit(model, TerminateOnNaN(), bad=None)
    message = said(capsys)
    assert "going backward, the first module with a value that is not finite is" in message
    assert "Linear(5) at '2' (gradient of bias)" in message and "Its data is finite" in message


def test_it_names_running_statistics_that_were_spoilt(capsys) -> None:
    model = compiled(Linear(3), BatchNorm1d(), Linear(1))
    fit(model, TerminateOnNaN())
    message = said(capsys)
    assert "Linear(3) at '0' is the first whose output is not finite" in message
    assert "not finite any more is BatchNorm1d() at '1' (running_mean)" in message
    assert "backward" not in message


def test_it_names_weights_that_an_update_has_made_too_large(capsys) -> None:
    model = compiled(Linear(3), Linear(1), optimizer=SGD(3e38))
    fit(model, TerminateOnNaN(), bad=None)
    assert "the first module with a value that is not finite is Linear(3) at '0' (weight)" in said(
        capsys)


def test_a_single_module_is_named_too(capsys) -> None:
    fit(compiled(Linear(1)), TerminateOnNaN())
    assert "Linear(1)" in said(capsys)


@pytest.mark.parametrize("value", [NAN, INF, -INF], ids=str)
def test_a_loss_that_is_not_finite_ends_training_though_gradients_are(value, capsys) -> None:
    model, before = compiled(loss=Odd(value, after=8 + 4)), Before()
    fit(model, before, TerminateOnNaN(), bad=None)
    message = said(capsys)
    assert f"Batch 5 of epoch 2: the loss is {value}; the predictions are finite, but" in message
    assert before.batches == 13 and model.diverged
    assert same(before.weights, model.module.state_dict())


@pytest.mark.parametrize(("bad", "words"), [
    ("x", "The inputs of this batch hold"), ("y", "The targets of this batch hold"),
    ("w", "The sample weights of this batch hold"), ("xy", "The inputs and targets of this batch"),
], ids=str)
def test_it_says_which_data_of_the_batch_is_not_finite(bad: str, words: str, capsys) -> None:
    parts = {"x": data()[0], "y": data()[1], "w": torch.ones(16)}
    for name in bad:
        parts[name][7] = INF if name == "w" else NAN
    model = compiled()
    model.fit(parts["x"], parts["y"], 2, shuffle=False, verbose=0, sample_weight=parts["w"],
              callbacks=TerminateOnNaN())
    message = said(capsys)
    assert "Batch 4 of epoch 1: " in message and words in message
    assert model.batch_data is None and model.batch_loss is None, "they are let go"


def test_it_reads_one_number_from_the_device_in_each_batch(monkeypatch) -> None:
    reads, plain = [], torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__",
                        lambda tensor: reads.append(1) or plain(tensor))
    counts = []
    for callbacks in ([], [TerminateOnNaN()]):
        reads.clear()
        fit(compiled(), *callbacks, bad=None)
        counts.append(len(reads))
    assert counts[1] - counts[0] == 3 * 8


@pytest.mark.parametrize("validates", [False, True])
def test_the_loss_of_a_step_of_ones_own_is_seen_after_the_update(validates, capsys) -> None:
    class Own(Model):
        """Reckons its loss by itself."""

        def train_step(self, x, y, sample_weight=None):
            y_pred = self.module.forward(x)
            loss = self.loss.forward(y_pred, y)
            self.backward(self.loss.backward())
            self.step()
            return loss, y_pred

    model = Own(Linear(1), device="cpu")
    model.compile(SGD(0.1), Odd(NAN, after=8 + (8 if validates else 0)))
    fit(model, TerminateOnNaN(), bad=None, validation_data=data() if validates else None)
    assert "Batch 1 of epoch 2: the loss is nan; weights and gradients are finite" in said(capsys)
    assert model.diverged


@pytest.mark.parametrize("loss", ["mse", Odd(NAN, after=3)], ids=["gradients", "the loss alone"])
def test_it_raises_where_asked_and_training_does_not_end_normally(loss) -> None:
    model, before = compiled(loss=loss), Before()
    with pytest.raises(RuntimeError, match=r"Batch 4 of epoch 1: .* not finite|the loss is nan"):
        fit(model, before, TerminateOnNaN(raise_error=True), bad=NAN if loss == "mse" else None)
    assert before.batches == 4 and not before.ended and model.diverged
    if loss == "mse":
        assert same(before.weights, model.module.state_dict())
        assert not any(p.grad.any() for p in model.module.parameters())


def test_a_sum_of_gradients_that_is_too_large_is_no_alarm() -> None:
    class Large(MSE):
        def backward(self):
            return torch.full_like(super().backward(), 1e38)

    model, before = compiled(Linear(1), Linear(8), optimizer=SGD(0.0), loss=Large()), Before()
    x = torch.ones(16, 1)
    model.module.build((1,))
    model.module.load_state_dict(
        {name: value * 0 for name, value in model.module.state_dict().items()})
    model.fit(x, torch.zeros(16, 8), batch_size=1, verbose=0, callbacks=[before, TerminateOnNaN()])
    assert before.batches == 16 and before.ended


def test_callbacks_before_it_never_see_weights_that_are_not_finite() -> None:
    seen = []
    look = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(
        all(p.data.isfinite().all() for p in look.model.module.parameters())))  # fmt: skip
    fit(compiled(), look, TerminateOnNaN())
    assert seen == [True] * 4


def test_a_run_that_goes_on_within_an_epoch_counts_from_there(capsys) -> None:
    callback = TerminateOnNaN()
    callback.set_model(compiled())
    callback.on_epoch_resume(4, 2)
    callback._end(5, "the loss is nan")
    assert "Batch 6 of epoch 5" in said(capsys)


def test_what_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TerminateOnNaN\(raise_error\) expects True or False"):
        TerminateOnNaN("yes")
