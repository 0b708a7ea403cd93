"""NanTracer: what it names where the answer is known, and that the replay is the step."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import BackupAndRestore, Callback, NanTracer, TerminateOnNaN
from kerasish.containers import Concat, Graph, Input, Residual, Sequential
from kerasish.insight.replaying.step import read_step
from kerasish.layers import BatchNorm1d, Dropout, Linear, Tanh
from kerasish.losses import MSE
from kerasish.module import Module
from kerasish.optimizers import SGD, Adam
from kerasish.random import global_states
from kerasish.trees import mapped
from tests.callbacks.diverges import INF, NAN, Breaks, Log, Odd, compiled, data, fit, said
from tests.callbacks.states import same


class Divides(Module):
    """1 / x, where x is 0 for one sample of one batch."""

    def forward(self, x):
        self.save_for_backward(y := 1 / x)
        return y

    def backward(self, dy):
        (y,) = self.saved_tensors()
        return -dy * y * y


class Root(Module):
    """√x: at 0 it is 0, and its slope is infinite."""

    def forward(self, x):
        self.save_for_backward(y := x.sqrt())
        return y

    def backward(self, dy):
        (y,) = self.saved_tensors()
        return dy / (2 * y)


class LogLoss(MSE):
    """-log y of each sample: infinite where a prediction is 0."""

    def forward(self, y_pred, y_true, sample_weight=None):
        self.save_for_backward(y_pred)
        return -y_pred.log().mean()

    def backward(self):
        (y_pred,) = self.saved_tensors()
        return -1 / y_pred.clamp(min=1e-3) / y_pred.numel()


class Keeps(Module):
    """Keeps what comes by, in whatever copy."""

    seen: list = []  # noqa: RUF012 (one for all)

    def forward(self, x):
        type(self).seen.append(x.clone())
        return x

    def backward(self, dy):
        type(self).seen.append(dy.clone())
        return dy


class Draws(Module):
    """Adds numbers of the global generators."""

    def forward(self, x):
        return x + torch.rand(()) + random.random() + float(np.random.rand())

    def backward(self, dy):
        return dy * random.random()


def traced(model: Model, folder: Path, x, y, batch_size: int = 4, **arguments) -> NanTracer:
    tracer = NanTracer(folder)
    model.fit(x, y, batch_size, shuffle=False, verbose=0, seed=0, callbacks=tracer, **arguments)
    return tracer


def rows(count: int = 16, features: int = 2):
    return torch.linspace(1, 2, count * features).view(count, features)


# ---- what it names --------------------------------------------------------------------------


def test_a_division_by_zero_in_forward_is_named_with_batch_and_sample(tmp_path, capsys) -> None:
    x = rows()
    x[4 + 3, 1] = 0  # sample 3 of batch 2
    model = compiled(Divides(), Linear(3), Linear(1))
    tracer = traced(model, tmp_path, x, x[:, :1] + 1)
    path = tmp_path / "step-00002.safetensors"
    assert said(capsys) == (
        "NanTracer ends training. First not finite: '0' Divides(), forward, epoch 1, batch 2, "
        f"sample 3; saved to {str(path)!r}.\n")
    assert tracer.first[:4] == ("0", "Divides()", "forward", (4, 2))
    assert tracer.first.samples == (3,) and tracer.first.not_finite == 1
    assert tracer.saved == [path] and model.diverged
    replay = model.replay(path)
    assert repr(replay.first) == repr(tracer.first)
    assert (replay.epoch, replay.batch, replay.step) == (0, 1, 2)


def test_a_root_at_zero_is_named_in_backward_alone(tmp_path) -> None:
    x = rows()
    x[8] = 0
    model = compiled(Linear(2, bias=False, weight_initializer="ones"), Root(), Linear(1))
    tracer = traced(model, tmp_path, x, x[:, :1])
    assert tracer.first[:3] == ("1", "Root()", "backward") and tracer.first.samples == (0,)
    directions = [each.direction for each in model.replay(tracer.saved[0]).steps]
    assert directions == ["data", "data", "forward", "forward", "forward", "forward", "loss",
                          "backward", "gradient of weight", "gradient of bias", "backward",
                          "backward", "gradient of weight", "weight after the update"]


@pytest.mark.parametrize(("name", "words"), [
    ("x", "inputs"), ("y", "targets"), ("w", "sample weights")])
def test_bad_data_is_named_before_what_it_spoils(name: str, words: str, tmp_path) -> None:
    parts = {"x": rows(), "y": rows(features=1), "w": torch.ones(16)}
    parts[name][[5, 6]] = INF
    model = compiled()
    tracer = traced(model, tmp_path, parts["x"], parts["y"], sample_weight=parts["w"])
    assert tracer.first[:3] == ("", words, "data") and tracer.first.samples == (1, 2)


def test_a_loss_is_named_with_the_samples_that_make_it_so(tmp_path, capsys) -> None:
    x = rows(features=1)
    x[[9, 11]] = 0
    model = compiled(Linear(1, bias=False, weight_initializer="ones"), optimizer=SGD(0.0),
                     loss=LogLoss())
    tracer = traced(model, tmp_path, x, x)
    assert tracer.first[:3] == ("", "LogLoss()", "loss") and tracer.first.samples == (1, 3)
    assert "First not finite: LogLoss(), loss, epoch 1, batch 3, samples 1 and 3;" in said(capsys)


def test_weights_that_were_spoilt_before_are_named_as_such(tmp_path) -> None:
    x, model = rows(), compiled(Linear(3), Linear(1), optimizer=SGD(3e38))
    tracer = traced(model, tmp_path, x, 5 * x[:, :1])
    assert tracer.first[:3] == ("0", "Linear(3)", "weight before the step")
    assert tracer.first.samples == ()


def test_the_update_that_spoils_weights_is_seen_in_a_step_saved_on_purpose(tmp_path) -> None:
    x, model = rows(), compiled(Linear(3), Linear(1), optimizer=SGD(3e38))
    model.fit(x, 5 * x[:, :1], 4, verbose=0, callbacks=NanTracer(tmp_path, steps=[1]))
    replay = model.replay(tmp_path / "step-00001.safetensors")
    assert replay.first[:3] == ("0", "Linear(3)", "weight after the update")
    assert "First not finite: '0' Linear(3), weight after the update." in str(replay)


def test_numbers_that_explode_are_named_where_they_become_infinite(tmp_path) -> None:
    class Grows(Tanh):
        def forward(self, x):
            return super().forward(x) * 0 + 1e30

    x = rows()
    model = compiled(Linear(3), Grows(), Grows(), Linear(1), Linear(1, weight_initializer="ones"))
    model.module.build((2,))
    model.module[3].weight.data = torch.full((1, 3), 1e9)
    tracer = traced(model, tmp_path, x, x[:, :1])
    assert tracer.first[:3] == ("3", "Linear(1)", "forward") and tracer.first.not_finite == 4
    assert tracer.first.samples == (0, 1, 2, 3)


def test_the_gradient_of_a_parameter_is_named(tmp_path) -> None:
    class Huge(MSE):
        def backward(self):
            return torch.full_like(super().backward(), 1e20)

    x, model = rows() * 1e20, compiled(Linear(1), optimizer=SGD(0.1), loss=Huge())
    model.module.build((2,))
    model.module.load_state_dict({name: value * 0 for name, value
                                  in model.module.state_dict().items()})
    tracer = traced(model, tmp_path, x, x[:, :1] * 0)
    assert tracer.first[:3] == ("", "Linear(1)", "gradient of weight")


def test_a_graph_of_two_inputs(tmp_path) -> None:
    a, b = Input((2,)), Input((3,))
    graph = Graph({"a": a, "b": b}, Linear(1)(Concat()((Linear(2)(a), Log()(b)))))
    model, b = compiled(graph), rows(features=3)
    b[6, 0] = -1
    tracer = traced(model, tmp_path, {"a": rows(), "b": b}, rows(features=1))
    assert tracer.first[1:3] == ("Log()", "forward") and tracer.first.samples == (2,)
    replay = model.replay(tracer.saved[0])
    assert [each.shape for each in replay.steps[:2]] == [{"a": (4, 2), "b": (4, 3)}, (4, 1)]
    assert repr(replay.first) == repr(tracer.first) and "{'a': (4, 2)" in str(replay)


@pytest.mark.parametrize(("modules", "path"), [
    ((Sequential(Tanh(), Sequential(Log(), Tanh())), Linear(1)), "0.1.0"),
    ((Residual(Sequential(Log(), Tanh())), Linear(1)), "0.body.0"),
])
def test_the_innermost_module_is_named(modules, path: str, tmp_path) -> None:
    tracer = traced(compiled(*modules), tmp_path, -rows(), rows(features=1))
    assert tracer.first[:2] == (path, "Log()")


# ---- what is saved --------------------------------------------------------------------------


def everything(model: Model) -> str:
    parts = [sorted([*vars(part), type(part).__name__]) for part in model.module.modules()]
    return repr(mapped(lambda each: getattr(each, "tolist", lambda: each)(), [
        model.module.state_dict(), model.optimizer.state_dict(), global_states(),
        model.stop_training, model.diverged, model.batches_trained, sorted(vars(model)), parts]))


@pytest.mark.parametrize("steps_per_execution", [1, 3])
@pytest.mark.parametrize("modules", [
    lambda: (Dropout(0.5), Keeps()), lambda: (Draws(), Keeps()),
    lambda: (BatchNorm1d(), Dropout(0.5), Draws(), Keeps())], ids=["noise", "global", "all"])
def test_the_replay_has_the_same_noise_to_the_bit(modules, steps_per_execution, tmp_path) -> None:
    model = Model(Linear(4), *modules(), Breaks(NAN, after=6), Linear(1), device="cpu")
    model.compile(Adam(0.01), "mse", steps_per_execution=steps_per_execution)
    Keeps.seen.clear()
    tracer = traced(model, tmp_path, rows(), rows(features=1), epochs=3)
    forward, backward, *again = Keeps.seen[-4:]
    assert torch.equal(forward, again[0]) and backward.isnan().all() and again[1].isnan().all()
    assert tracer.first[1:3] == ("Breaks(nan, after=6)", "backward")
    torch.rand(3), np.random.rand(3)
    replay = model.replay(tmp_path / "step-00007.safetensors")
    assert torch.equal(forward, Keeps.seen[-2]) and replay.same_noise
    assert repr(replay.first) == repr(tracer.first) and "When it was saved" not in str(replay)


def test_any_step_can_be_saved_and_is_the_step(tmp_path, capsys) -> None:
    model = compiled(Linear(4), BatchNorm1d(), Dropout(0.5), Keeps(), Linear(1))
    plain = compiled(Linear(4), BatchNorm1d(), Dropout(0.5), Linear(1))
    Keeps.seen.clear()
    fit(plain, bad=None)
    fit(model, NanTracer(tmp_path, steps={1, 5, 12}), bad=None)
    plain_state = plain.module.state_dict().values()
    assert all(map(torch.equal, plain_state, model.module.state_dict().values()))
    kept = list(Keeps.seen)
    for step in (1, 5, 12):
        replay = model.replay(tmp_path / f"step-{step:05}.safetensors")
        assert torch.equal(Keeps.seen[-2], kept[2 * step - 2])
        assert torch.equal(Keeps.seen[-1], kept[2 * step - 1])
        assert replay.first is None and str(replay).endswith("All of it is finite.")
        assert replay.step == step and replay.epoch == (step - 1) // 8
    assert "batch 5 of epoch 1, saved to" in capsys.readouterr().err


def test_of_accumulated_micro_batches_the_file_holds_the_one_at_hand(tmp_path) -> None:
    model = compiled(optimizer=Adam(0.1, gradient_accumulation_steps=3))
    tracer = NanTracer(tmp_path, steps=[2])
    x, y = data(NAN, batch=4)
    model.fit(x, y, 2, shuffle=False, verbose=0, seed=0, callbacks=tracer)
    alone, bad = (model.replay(tmp_path / f"step-0000{step}.safetensors") for step in (2, 5))
    assert alone.first is None and bad.first.module == "inputs" and tracer.first == bad.first
    optimizer = read_step(alone.path)["trainers"][""]["optimizers"]["optimizer"]
    assert optimizer["gathered_batches"] == 0 and optimizer["gradients"] == []


def test_python_and_numpy_are_asked_again_in_each_epoch(tmp_path) -> None:
    class Later(Draws):
        epoch = 0

        def forward(self, x):
            return super().forward(x) if self.epoch else x

        def backward(self, dy):
            return dy

    class Turns(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            self.model.module[1].epoch = epoch

    model = compiled(Linear(3), Later(), Keeps(), Linear(1))
    Keeps.seen.clear()
    fit(model, Turns(), NanTracer(tmp_path, steps=[15]), bad=None, epochs=2)
    kept = Keeps.seen[2 * 14]
    model.replay(tmp_path / "step-00015.safetensors")
    assert torch.equal(Keeps.seen[-2], kept)


def test_weights_statistics_and_slots_are_those_from_before(tmp_path) -> None:
    class Sees(Callback):
        def on_train_batch_begin(self, batch, logs=None) -> None:
            self.before = self.model.module.state_dict()

    sees, model = Sees(), compiled(Linear(3), BatchNorm1d(), Linear(1))
    fit(model, sees, NanTracer(tmp_path))
    after = model.module.state_dict()
    assert same(sees.before, after) and all(each.isfinite().all() for each in after.values())
    assert model.optimizer.iterations == 3 and model.batches_trained == 4


def test_after_a_resume_the_replay_is_still_the_step(tmp_path) -> None:
    class Killed(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            if batch == 2:
                raise ZeroDivisionError

    def run(*callbacks) -> NanTracer:
        tracer, backup = NanTracer(tmp_path / "nan"), BackupAndRestore(tmp_path / "backup", 1)
        net = compiled(Linear(4), Log(), Dropout(0.5), Keeps(), Linear(1), optimizer=SGD(0.0))
        net.module.build((1,))
        net.module[0].load_state_dict({"weight": torch.ones(4, 1), "bias": torch.ones(4)})
        x = torch.linspace(1, 2, 16).view(16, 1)
        x[9] = -3  # sample 1 of batch 5
        net.fit(x, x, 2, verbose=0, seed=0, shuffle=False, callbacks=[tracer, backup, *callbacks])
        net.replay(tracer.saved[0])
        return tracer

    Keeps.seen.clear()
    with pytest.raises(ZeroDivisionError):
        run(Killed())
    tracer = run()
    kept, again = Keeps.seen[-6:-4], Keeps.seen[-2:]
    assert all(torch.equal(*map(torch.nan_to_num, pair)) for pair in zip(kept, again, strict=True))
    assert tracer.first[:3] == ("1", "Log()", "forward") and tracer.first.samples == (1,)
    assert tracer.saved == [tmp_path / "nan" / "step-00005.safetensors"]


def test_a_step_of_ones_own_is_run_again_as_it_is(tmp_path, capsys) -> None:
    class Own(Model):
        """Updates, and then reckons its loss once more."""

        scale = 1.0

        def train_step(self, x, y, sample_weight=None):
            y_pred = self.module.forward(x)
            self.loss.forward(y_pred, y)
            self.backward(self.loss.backward() * self.scale)
            self.step()
            with self.module.inference():
                return {"loss": self.module.forward(x).mean().log()}

        def own_state(self):
            return {"scale": self.scale}

        def load_own_state(self, state):
            self.scale = state["scale"]

    model = Own(Linear(1, weight_initializer="ones"), device="cpu")
    model.compile(SGD(0.5), "mse")
    tracer = traced(model, tmp_path, rows(features=1), -rows(features=1))
    assert tracer.first[1:3] == ("MSE()", "loss") and model.diverged
    model.scale = 0.0
    replay = model.replay(tracer.saved[0])
    assert repr(replay.first) == repr(tracer.first) and model.scale == 0.0
    model.compile(SGD(0.5), "mse", steps_per_execution=2)
    with pytest.raises(ValueError, match=r"NanTracer expects compile\(steps_per_execution=1\)"):
        traced(model, tmp_path, rows(features=1), -rows(features=1))


# ---- beside others --------------------------------------------------------------------------


def test_good_training_is_left_as_it_is(tmp_path) -> None:
    plain, watched = compiled(), compiled()
    assert fit(plain, bad=None).history == fit(watched, NanTracer(tmp_path), bad=None).history
    assert same(plain.module.state_dict(), watched.module.state_dict())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [1, -1])
def test_beside_terminate_on_nan_it_finds_the_same(order: int, tmp_path, capsys) -> None:
    tracer = NanTracer(tmp_path)
    fit(compiled(Linear(3), Log(), Linear(1)), *[tracer, TerminateOnNaN()][::order], bad=None)
    assert tracer.first[:3] == ("1", "Log()", "forward") and len(tracer.saved) == 1
    assert len(capsys.readouterr().err.splitlines()) == (1 if order == 1 else 2)


def test_tracing_and_replaying_leave_no_trace(tmp_path) -> None:
    class Sees(Callback):
        def on_backward_end(self, batch) -> None:
            self.before = everything(self.model), self.model.run.noise.state()

        def on_settled(self, epoch, batch=None) -> None:
            if self.model.diverged and batch is not None:
                self.model.stop_training = self.model.diverged = False
                self.model.batches_trained -= 1
                self.after = everything(self.model), self.model.run.noise.state()
                self.model.stop_training = True

    sees = Sees()
    model = compiled(Linear(3), Dropout(0.4), Linear(1), loss=Odd(NAN, after=5))
    tracer = NanTracer(tmp_path)
    fit(model, sees, tracer, bad=None)
    assert sees.before[0] == sees.after[0] and torch.equal(sees.before[1], sees.after[1])
    before = everything(model)
    model.replay(tracer.saved[0])
    assert everything(model) == before
    other = Model(Linear(7), device="cpu")
    other.compile("sgd", "mse")
    state = global_states()["torch"]
    with pytest.raises(ValueError, match="do not fit the model"):
        other.replay(tracer.saved[0])
    assert not other.built and torch.equal(state, global_states()["torch"])


def test_it_raises_where_asked(tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"First not finite: the|inputs, data, epoch 1, batch 4"):
        fit(compiled(), NanTracer(tmp_path, raise_error=True))


def test_a_model_that_cannot_be_copied_is_told_of_as_by_terminate_on_nan(tmp_path, capsys) -> None:
    class Once(Breaks):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    tracer = NanTracer(tmp_path)
    fit(compiled(Linear(3), Once(NAN), Linear(1)), tracer, bad=None)
    message = said(capsys)
    assert "NanTracer ends training. Batch 1 of epoch 1: the gradients are not finite;" in message
    assert tracer.first is None and "step-00001.safetensors" in message


def test_a_folder_that_cannot_be_written_to_is_said_and_training_ends(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    tracer = NanTracer(tmp_path / "file" / "nan")
    model = compiled()
    fit(model, tracer)
    assert "batch 4, sample 0; not saved: " in said(capsys) and model.diverged
    assert tracer.saved == [] and tracer.first.module == "inputs"


def test_a_trial_run_saves_nothing(tmp_path) -> None:
    fit(compiled(), NanTracer(tmp_path, steps=[1]), bad=None, fast_dev_run=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "message"), [
    ({"path": 3}, r"NanTracer\(path\) expects a path; got 3"),
    ({"raise_error": 1}, r"NanTracer\(raise_error\) expects True or False; got 1"),
    ({"steps": 3}, r"NanTracer\(steps\) expects numbers of batches; got 3\. Write steps="),
    ({"steps": "12"}, r"NanTracer\(steps\) expects numbers of batches; got '12'"),
    ({"steps": [0]}, r"NanTracer\(steps\) expects a whole number of at least 1; got 0\. 1 is"),
], ids=str)
def test_settings_that_cannot_be_meant_are_refused(arguments, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        NanTracer(**arguments)


def test_steps_that_are_over_before_a_fit_are_said_once(tmp_path: Path, capsys) -> None:
    model = compiled()
    tracer = NanTracer(tmp_path, steps=[1])
    fit(model, tracer, epochs=1)
    assert "saves nothing" not in capsys.readouterr().err
    fit(model, tracer, epochs=2)
    expected = "for [1]: batches are counted through all fits, and this one begins with batch "
    assert capsys.readouterr().err.count(f"NanTracer(steps) saves nothing {expected}") == 1
