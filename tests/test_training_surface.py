"""Arguments of fit, evaluate and predict, when callbacks hear of what, steps of one's own."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model, set_seed
from kerasish.callbacks import Callback, EarlyStopping
from kerasish.data import source_of
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD

SAMPLES, BATCH, PASS = 10, 4, 3
X = torch.arange(2.0 * SAMPLES).view(SAMPLES, 2).sin()
Y = X.prod(1, keepdim=True)
WEIGHTS = torch.linspace(0.5, 2, SAMPLES)
NAMES = {"loss", "mae"}
HOOKS = [name for name in vars(Callback) if name.startswith("on_")
         and name not in ("on_batch_begin", "on_batch_end")]


class Recorder(Callback):
    """Keeps the name, the numbers and a copy of the logs of each hook that is called."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        for name in HOOKS:
            setattr(self, name, self._keeping(name))

    def _keeping(self, name: str) -> Any:
        def keep(*arguments: Any) -> None:
            self.events.append((name.removeprefix("on_"), *(
                dict(each) if hasattr(each, "keys") else each for each in arguments)))

        return keep

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.events]

    def of(self, name: str) -> list[Any]:
        """The arguments of that hook, call by call; a single one without its tuple."""
        found = [rest for hook, *rest in self.events if hook == name]
        return [each[0] if len(each) == 1 else tuple(each) for each in found]


def model(kind: type[Model] = Model, **settings: Any) -> Any:
    set_seed(0)
    made = kind(Linear(4), Tanh(), Linear(1), device="cpu")
    made.compile(SGD(0.1), "mse", metrics=["mae"], **settings)
    return made


def fitted(made: Model | None = None, **settings: Any) -> tuple[Model, Recorder]:
    made, recorder = made or model(), Recorder()
    made.fit(X, Y, **{"batch_size": BATCH, "epochs": 2, "verbose": 0, "seed": 0,
                      "callbacks": recorder} | settings)
    return made, recorder


def logs_of(made: Model) -> dict[str, list[float]]:
    assert made.history is not None
    return made.history.history


# ---- the order of events ------------------------------------------------------------------------


def test_all_hooks_come_in_their_order() -> None:
    _, recorder = fitted(validation_data=(X, Y), validation_batch_size=SAMPLES)
    batch = ["train_batch_begin", "backward_end", "train_batch_end", "settled"]
    validation = ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    epoch = ["epoch_begin", *PASS * batch, *validation, "epoch_end", "settled"]
    assert recorder.names == ["train_begin", "restore", *2 * epoch, "train_end"]


def test_hooks_are_told_numbers_and_logs() -> None:
    made, recorder = fitted(validation_data=(X, Y), validation_batch_size=BATCH)
    for name in ("train_begin", "test_begin"):
        assert all(logs == {} for logs in recorder.of(name))
    assert recorder.of("epoch_begin") == [(0, {}), (1, {})]
    for name in ("train_batch_begin", "test_batch_begin"):
        assert recorder.of(name) == [(batch, {}) for batch in [0, 1, 2] * 2]
    assert recorder.of("settled") == [(epoch, b) for epoch in (0, 1) for b in (0, 1, 2, None)]
    for name in ("train_batch_end", "test_batch_end"):
        batches = recorder.of(name)
        assert [batch for batch, _ in batches] == [0, 1, 2] * 2
        for _, logs in batches:
            assert logs.keys() == NAMES
            assert all(type(value) is float for value in logs.values())
    history = logs_of(made)
    for epoch, (number, logs) in enumerate(recorder.of("epoch_end")):
        assert number == epoch
        assert logs == {name: values[epoch] for name, values in history.items()}
        assert logs.keys() == NAMES | {"val_loss", "val_mae"}
        tested = recorder.of("test_end")[epoch]
        assert tested == {name: logs[f"val_{name}"] for name in NAMES}
        assert recorder.of("test_batch_end")[3 * epoch + 2][1] == pytest.approx(tested)
        of_train = {name: logs[name] for name in NAMES}
        assert recorder.of("train_batch_end")[3 * epoch + 2][1] == pytest.approx(of_train)
    assert recorder.of("train_end") == [recorder.of("epoch_end")[-1][1]]


def test_what_callbacks_add_is_not_in_the_logs_of_the_end() -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["more"] = epoch

    recorder = Recorder()
    made, _ = fitted(callbacks=[Adds(), recorder])
    assert [logs["more"] for _, logs in recorder.of("epoch_end")] == [0, 1]
    assert recorder.of("train_end")[0].keys() == NAMES
    assert logs_of(made)["more"] == [0, 1]


def test_evaluate_and_predict_tell_their_hooks() -> None:
    made, tested, asked = model(), Recorder(), Recorder()
    results = made.evaluate(X, Y, BATCH, 0, callbacks=tested, return_dict=True)
    assert tested.names == ["test_begin", *PASS * ["test_batch_begin", "test_batch_end"],
                            "test_end"]
    assert tested.of("test_end") == [results]
    outputs = made.predict(X, BATCH, 0, callbacks=asked)
    assert asked.names == ["predict_begin", *PASS * ["predict_batch_begin", "predict_batch_end"],
                           "predict_end"]
    assert asked.of("predict_begin") == asked.of("predict_end") == [{}]
    parts = [logs["outputs"] for _, logs in asked.of("predict_batch_end")]
    assert all(isinstance(part, np.ndarray) for part in parts)
    assert np.array_equal(np.concatenate(parts), outputs)


def test_stopping_within_an_epoch_still_validates_and_ends_it() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    recorder = Recorder()
    made, _ = fitted(callbacks=[Stop(), recorder], validation_data=(X, Y))
    assert len(recorder.of("train_batch_end")) == 2
    assert recorder.names[-5:] == ["test_batch_end", "test_end", "epoch_end", "settled",
                                   "train_end"]
    assert {name: len(values) for name, values in logs_of(made).items()} == dict.fromkeys(
        (*NAMES, "val_loss", "val_mae"), 1)


def test_no_epoch_is_a_begin_and_an_end() -> None:
    made, recorder = fitted(epochs=2, initial_epoch=2)
    assert recorder.events == [("train_begin", {}), ("restore",), ("train_end", {})]
    assert logs_of(made) == {}


# ---- validation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("freq", "validated"), [
    (1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (6, []), ([1, 4], [0, 3]), ((5,), [4]),
    ({2, 3}, [1, 2]), (range(1, 3), [0, 1]), ([9], []), ([], []),
])
def test_validation_comes_as_often_as_asked(freq: Any, validated: list[int]) -> None:
    made, recorder = fitted(epochs=5, validation_data=(X, Y), validation_freq=freq)
    with_values = [epoch for epoch, logs in recorder.of("epoch_end") if "val_loss" in logs]
    assert with_values == validated
    assert len(recorder.of("test_begin")) == len(validated)
    assert len(logs_of(made).get("val_loss", [])) == len(validated)
    assert len(logs_of(made)["loss"]) == 5


@pytest.mark.parametrize(("initial", "validated"), [(1, [1, 3]), (2, [3])])
def test_validation_counts_epochs_from_the_first_of_all(initial, validated) -> None:
    _, recorder = fitted(epochs=5, initial_epoch=initial, validation_data=(X, Y),
                         validation_freq=2)
    assert [epoch for epoch, logs in recorder.of("epoch_end") if "val_loss" in logs] == validated


@pytest.mark.parametrize("settings", [
    {"validation_batch_size": 4}, {"validation_batch_size": 7}, {},
    {"validation_batch_size": 4, "validation_steps": 2},
])
def test_sizes_and_steps_of_validation(settings: dict[str, int]) -> None:
    made, recorder = fitted(epochs=1, validation_data=(X, Y), **settings)
    size = settings.get("validation_batch_size", BATCH)
    steps = settings.get("validation_steps", -(-SAMPLES // size))
    assert len(recorder.of("test_batch_end")) == steps
    count = min(SAMPLES, steps * size)
    expected = made.evaluate(X[:count], Y[:count], verbose=0, return_dict=True)
    assert recorder.of("test_end")[0] == pytest.approx(expected)


def test_weights_of_validation_samples_count() -> None:
    made, recorder = fitted(epochs=1, validation_data=(X, Y, WEIGHTS))
    expected = made.evaluate(X, Y, verbose=0, sample_weight=WEIGHTS)
    assert recorder.of("test_end")[0]["loss"] == pytest.approx(expected[0])


# ---- epochs and trials --------------------------------------------------------------------------


def test_initial_epoch_goes_on_as_one_fit_would() -> None:
    whole, _ = fitted(epochs=4)
    parts, _ = fitted(epochs=2)
    parts, recorder = fitted(parts, epochs=4, initial_epoch=2)
    assert recorder.of("epoch_begin") == [(2, {}), (3, {})]
    for one, other in zip(whole.module.parameters(), parts.module.parameters(), strict=True):
        assert torch.equal(one.data, other.data)


class Traces(Recorder):
    leaves_traces = True


def test_a_trial_is_one_batch_and_one_of_validation_without_traces() -> None:
    made, traces, recorder = model(), Traces(), Recorder()
    fitted(made, epochs=7, initial_epoch=3, callbacks=[traces, [recorder]], fast_dev_run=True,
           validation_data=(X, Y), validation_freq=[6], validation_steps=2, steps_per_epoch=2)
    assert recorder.of("epoch_begin") == [(3, {})]
    assert len(recorder.of("train_batch_end")) == len(recorder.of("test_batch_end")) == 1
    assert traces.events == []
    assert set(logs_of(made)) == NAMES | {"val_loss", "val_mae"}
    fitted(made, callbacks=traces)
    assert traces.names.count("epoch_end") == 2


def test_overfitting_takes_the_first_batches_in_the_same_order() -> None:
    one, recorder = fitted(overfit_batches=2, epochs=3)
    assert len(recorder.of("train_batch_end")) == 2 * 3
    twin = model()
    twin.fit(X[: 2 * BATCH], Y[: 2 * BATCH], BATCH, 3, 0, shuffle=False, seed=0)
    assert logs_of(one) == logs_of(twin)
    _, recorder = fitted(overfit_batches=99, epochs=3)
    assert len(recorder.of("train_batch_end")) == PASS * 3


def test_overfitting_a_function_draws_its_batches_once() -> None:
    calls = []

    def batches() -> Any:
        calls.append(None)
        yield from ((torch.randn(4, 2), torch.randn(4, 1)) for _ in range(5))

    made = model()
    made.fit(batches, epochs=30, overfit_batches=2, verbose=0)
    assert len(calls) == 1
    assert logs_of(made)["loss"][-1] < logs_of(made)["loss"][0]


@pytest.mark.parametrize("form", ["a loader of two inputs", "one buffer for all batches"])
def test_overfitting_keeps_batches_as_they_come(form: str) -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, i: int) -> Any:
            return (X[i, :1], X[i, 1:]), Y[i]

    def reused() -> Any:
        buffer = torch.empty_like(X[:4])
        for batch in X.split(4):
            yield buffer[: len(batch)].copy_(batch), Y[: len(batch)]

    source = DataLoader(Doubled(X, Y), 4) if form.startswith("a loader") else reused
    kept = list(source_of(source, who="fit").take(2).epoch(0))
    seen = [torch.cat(x, 1) if isinstance(x, tuple) else x for x, _, _ in kept]
    assert torch.equal(torch.cat(seen), X[:8])


@pytest.mark.parametrize("every", [1, 2, 3, 5])
@pytest.mark.parametrize("samples", [20, 17])
def test_callbacks_hear_of_groups_of_batches(every: int, samples: int) -> None:
    made, recorder = model(steps_per_execution=every), Recorder()
    x = torch.arange(2.0 * samples).view(samples, 2).sin()
    made.fit(x, x[:, :1], BATCH, 2, 0, callbacks=recorder, seed=0)
    begins, ends = list(range(0, 5, every)), [*range(every - 1, 4, every), 4]
    assert [batch for batch, _ in recorder.of("train_batch_begin")] == 2 * begins
    assert [batch for batch, _ in recorder.of("train_batch_end")] == 2 * ends
    assert recorder.of("settled") == [(epoch, b) for epoch in (0, 1) for b in (*ends, None)]
    assert len(recorder.of("backward_end")) == 2 * 5
    plain = model()
    plain.fit(x, x[:, :1], BATCH, 2, 0, seed=0)
    assert logs_of(made) == logs_of(plain)
    for epoch, (_, logs) in enumerate(recorder.of("epoch_end")):
        last = recorder.of("train_batch_end")[(epoch + 1) * len(ends) - 1][1]
        assert last == pytest.approx(logs)


# ---- weights, steps, the host -------------------------------------------------------------------


def test_weights_of_samples_weigh_the_loss_everywhere() -> None:
    made = model()
    made.build((2,))
    error = (made.predict(X, verbose=0) - Y.numpy())[:, 0]
    expected = np.mean(error**2 * WEIGHTS.numpy())
    plain_mae = np.abs(error).mean()
    for found in (made.evaluate(X, Y, BATCH, 0, WEIGHTS), made.test_on_batch(X, Y, WEIGHTS),
                  made.train_on_batch(X, Y, WEIGHTS)):
        assert found == pytest.approx([expected, plain_mae], rel=1e-5)
    still = model()
    still.build((2,))
    still.optimizer.learning_rate = 0.0
    fitted(still, sample_weight=WEIGHTS, epochs=1)
    error = (still.predict(X, verbose=0) - Y.numpy())[:, 0]
    assert logs_of(still)["loss"] == pytest.approx([np.mean(error**2 * WEIGHTS.numpy())])


def test_weights_of_0_leave_samples_out() -> None:
    few = torch.tensor([1.0] * BATCH + [0.0] * (SAMPLES - BATCH))
    one, other = model(), model()
    for each in (one, other):
        set_seed(0)
        each.build((2,))
    one.train_on_batch(X, Y, few)
    other.train_on_batch(X[:BATCH], Y[:BATCH], torch.full((BATCH,), BATCH / SAMPLES))
    for mine, its in zip(one.module.parameters(), other.module.parameters(), strict=True):
        torch.testing.assert_close(mine.data, its.data)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_steps_of_evaluate_and_predict(steps: int) -> None:
    made = model()
    count = min(SAMPLES, steps * BATCH)
    found = made.predict(X, BATCH, 0, steps)
    assert np.array_equal(found, made.predict(X, BATCH, 0)[:count])
    whole = made.evaluate(X[:count], Y[:count], BATCH, 0)
    assert made.evaluate(X, Y, BATCH, 0, steps=steps) == whole
    endless = ((X, Y) for _ in iter(int, 1))
    assert len(made.predict(endless, verbose=0, steps=steps)) == steps * SAMPLES


def test_each_output_is_on_the_host_before_the_next_batch() -> None:
    class Watched(Model):
        def predict_step(self, x: Tensor) -> Any:
            events.append("step")
            output = super().predict_step(x)
            output.cpu = lambda: events.append("host") or Tensor.cpu(output)
            return output

    events: list[str] = []
    made = Watched(Linear(1), device="cpu")
    made.predict(X, BATCH, 0)
    assert events == PASS * ["step", "host"]


# ---- bad arguments ------------------------------------------------------------------------------


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "steps of 0": ({"steps_per_epoch": 0}, ValueError,
                   r"fit\(steps_per_epoch\) expects .*at least 1.*; got 0\. None is all there are"),
    "half a step": ({"steps_per_epoch": 1.5}, ValueError, r"fit\(steps_per_epoch\) .*got 1\.5"),
    "no validation step": ({"validation_steps": 0, "validation_data": (X, Y)}, ValueError,
                           r"fit\(validation_steps\) expects .*; got 0\. None is all there are"),
    "no validation batch": ({"validation_batch_size": 0, "validation_data": (X, Y)}, ValueError,
                            r"fit\(validation_data\)\(batch_size\)|fit\(validation_batch_size\)"),
    "an empty split batch": ({"validation_batch_size": -1, "validation_split": 0.5}, ValueError,
                             r"fit\(validation_batch_size\) expects .*; got -1\."),
    "never": ({"validation_freq": 0}, ValueError,
              r"fit\(validation_freq\) expects .*; got 0\. 1 validates after each epoch"),
    "after epoch 0": ({"validation_freq": [0, 1]}, ValueError, r"fit\(validation_freq\) .*got 0\."),
    "now and then": ({"validation_freq": 0.5}, ValueError, r"fit\(validation_freq\) .*got 0\.5\."),
    "often": ({"validation_freq": "often"}, ValueError, r"fit\(validation_freq\) .*got 'often'\."),
    "some batches": ({"fast_dev_run": 3}, ValueError,
                     r"fit\(fast_dev_run\) expects True or False; got 3\. It is one batch"),
    "an order of batches": ({"shuffle": "batch"}, ValueError,
                            r"fit\(shuffle\) expects True or False; got 'batch'"),
    "validation in batches of none": ({"validation_data": (X, Y), "validation_batch_size": 0},
                                      ValueError, r"fit\(validation_batch_size\) expects .*got 0"),
    "more validation than there is": ({"validation_data": (X, Y), "validation_steps": 99},
                                      ValueError, r"fit\(validation_steps\) expects at most \d+,"),
    "no batch": ({"overfit_batches": 0}, ValueError,
                 r"fit\(overfit_batches\) expects .*; got 0\. None trains on all of them\."),
    "a share": ({"overfit_batches": 0.1}, ValueError, r"fit\(overfit_batches\) .*; got 0\.1\."),
    "a weight too few": ({"sample_weight": WEIGHTS[1:]}, ValueError,
                         r"fit\(x, y\) expects as many samples.* got 10 in x and 9 in sample"),
    "weights of elements": ({"sample_weight": WEIGHTS[:, None]}, ValueError,
                            r"fit\(sample_weight\) expects one weight a sample, shape \(10,\)"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_bad_argument_is_named_and_changes_nothing(mistake: str) -> None:
    settings, error, says = BAD[mistake]
    made, recorder = model(), Recorder()
    with pytest.raises(error, match=says):
        fitted(made, **settings, callbacks=recorder)
    assert not made.built
    assert recorder.events == []


@pytest.mark.parametrize("method", ["evaluate", "predict"])
@pytest.mark.parametrize("steps", [0, -1, 1.5, "all"])
def test_steps_are_a_number_of_batches(method: str, steps: Any) -> None:
    with pytest.raises(ValueError, match=rf"{method}\(steps\) expects .*; got {steps!r}\. None is"):
        getattr(model(), method)(X, **({"y": Y} if method == "evaluate" else {}), steps=steps)


@pytest.mark.parametrize("steps", [0, 1.5, None])
def test_steps_per_execution_is_a_number_of_batches(steps: Any) -> None:
    with pytest.raises(ValueError, match=rf"compile\(steps_per_execution\) .*; got {steps!r}\."):
        model(steps_per_execution=steps)


# ---- steps of one's own -------------------------------------------------------------------------


class Penalized(Model):
    """Trains without targets, to make outputs small, and logs what it likes."""

    def train_step(self, x, y, sample_weight=None):
        output = self.module.forward(x)
        self.backward(2 * output / output.numel())
        self.step()
        return {"loss": (output**2).mean(), "size": output.abs().mean()}

    def test_step(self, x, y, sample_weight=None):
        size = self.module.forward(x).abs().mean()
        return {"loss": size**2, "size": 3 * size}

    def predict_step(self, x):
        return self.module.forward(x) + 7


def own(*, loss: Any = None) -> Penalized:
    set_seed(0)
    made = Penalized(Linear(4), Tanh(), Linear(1), device="cpu")
    made.compile(SGD(0.1), loss)
    return made


def test_names_of_a_step_are_in_logs_and_history(capsys: pytest.CaptureFixture[str]) -> None:
    made, recorder = own(), Recorder()
    made.fit(X, batch_size=BATCH, epochs=3, verbose=2, callbacks=recorder, seed=0)
    assert set(logs_of(made)) == {"loss", "size"}
    assert logs_of(made)["loss"][2] < logs_of(made)["loss"][0]
    assert [logs for _, logs in recorder.of("epoch_end")] == [
        {name: values[i] for name, values in logs_of(made).items()} for i in range(3)]
    assert all(logs.keys() == {"loss", "size"} for _, logs in recorder.of("train_batch_end"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss: " in line]
    assert len(lines) == 3
    assert all(" - size: " in line for line in lines)


def test_the_logs_of_a_step_are_means_over_samples() -> None:
    made = own()
    made.build((2,))
    made.optimizer.learning_rate = 0.0
    made.fit(X, batch_size=BATCH, verbose=0)
    output = made.predict(X, verbose=0) - 7
    assert logs_of(made) == {"loss": [pytest.approx((output**2).mean())],
                             "size": [pytest.approx(np.abs(output).mean())]}


def test_callbacks_monitor_what_a_step_logs() -> None:
    made = own()
    stopping = EarlyStopping("size", patience=0, mode="min", min_delta=1e9)
    made.fit(X, epochs=9, verbose=0, callbacks=stopping)
    assert len(logs_of(made)["size"]) == 2
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor\) .*'sizee'"):
        made.fit(X, epochs=2, verbose=0, callbacks=EarlyStopping("sizee", mode="min"))


def test_test_step_and_predict_step_are_asked() -> None:
    made = own()
    output = made.predict(X, verbose=0)
    assert np.array_equal(output, made.predict_on_batch(X))
    expected = 3 * np.abs(output - 7).mean()
    found = made.evaluate(X, verbose=0, return_dict=True)
    assert found == {"loss": pytest.approx(expected**2 / 9), "size": pytest.approx(expected)}
    assert made.evaluate(X, verbose=0) == made.test_on_batch(X) == list(found.values())
    made.fit(X, validation_data=[(X,)], verbose=0, epochs=2)
    assert set(logs_of(made)) == {"loss", "size", "val_loss", "val_size"}
    assert logs_of(made)["val_size"][1] == pytest.approx(
        3 * np.abs(made.predict(X, verbose=0) - 7).mean())


@pytest.mark.parametrize("step", ["train_step", "test_step"])
def test_a_step_that_answers_no_loss_is_named(step: str) -> None:
    made = own()
    setattr(made, step, lambda x, y, sample_weight=None: {"size": x.mean()})
    with pytest.raises(ValueError, match=r"a step of Penalized expects to answer a dict with "
                       r"'loss' in it; got \['size'\]\. Add it: logs begin with it\.$"):
        made.fit(X, validation_data=[(X,)], verbose=0)


@pytest.mark.parametrize(("answer", "says"), [
    ({"loss": 1.0}, "expects to answer 0-dim tensors; got 1.0 for 'loss'"),
    ({"loss": torch.ones(3)}, "expects to answer 0-dim tensors; got tensor"),
    (None, "a tuple (loss, predictions) or a dict; got None. Return one"),
    ([1, 2], "a tuple (loss, predictions) or a dict; got [1, 2]"),
])
def test_a_step_that_answers_something_else_is_told_what_to_answer(answer: Any, says: str) -> None:
    made = own()
    made.train_step = lambda x, y, sample_weight=None: answer  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=f"^a step of Penalized .*{re.escape(says)}"):
        made.fit(X, verbose=0)


def test_names_are_those_that_evaluate_answers() -> None:
    made = own()
    made.compile(SGD(0.1), None, metrics=["mae"])
    assert made.metrics_names == ["loss", "mae"]
    made.fit(X, Y, validation_data=(X, Y), verbose=0)
    assert made.metrics_names == ["loss", "size"]
    assert list(made.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "size"]
    assert set(logs_of(made)) == {"loss", "size", "val_loss", "val_size"}


def test_names_that_training_answers_are_none_of_evaluation() -> None:
    class Trained(Penalized):
        test_step = Model.test_step

    made = Trained(Linear(1), device="cpu")
    made.compile("sgd", "mse", metrics=["mae"])
    made.fit(X, Y, verbose=0)
    assert list(made.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "mae"]


def test_what_a_step_trains_on_is_not_evaluated_without_a_loss() -> None:
    class Trained(Penalized):
        test_step = Model.test_step

    made = Trained(Linear(1), device="cpu")
    made.compile("sgd", None)
    for ask in (lambda: made.evaluate(X, Y, verbose=0),
                lambda: made.fit(X, validation_data=(X, Y), verbose=0)):
        with pytest.raises(RuntimeError, match=r"expects a loss, or a test_step, to evaluate with; "
                                               r"got compiled with loss=None\. Write Trained\.te"):
            ask()
    made.fit(X, verbose=0)


def test_a_batch_of_a_step_of_ones_own_answers_its_names() -> None:
    found = own().train_on_batch(X, return_dict=True)
    assert found.keys() == {"loss", "size"}
    assert all(type(value) is float for value in found.values())


def test_without_a_loss_a_class_needs_a_step_of_its_own() -> None:
    with pytest.raises(TypeError, match=r"compile\(loss\) expects a loss to train with; got None"):
        Model(Linear(1), device="cpu").compile("sgd", None)
    with pytest.raises(ValueError, match=r"compile\(loss_weights\) expects a loss to weigh; got"):
        own().compile("sgd", None, loss_weights=[1.0])


def test_a_step_that_adds_to_the_usual_one_keeps_loss_and_metrics() -> None:
    class Doubled(Model):
        def train_step(self, x, y, sample_weight=None):
            loss, y_pred = super().train_step(x, y, sample_weight)
            return 2 * loss, y_pred

    one, _ = fitted(model(Doubled), epochs=3)
    other, _ = fitted(epochs=3)
    assert logs_of(one)["loss"] == pytest.approx([2 * each for each in logs_of(other)["loss"]])
    assert logs_of(one)["mae"] == logs_of(other)["mae"]
