"""Who is told what, when, in which order; and that a hook which nobody overrides costs nothing."""

import copy
import re
from collections.abc import Iterator

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, CallbackList
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD

BATCH_HOOKS = (
    "on_train_batch_begin", "on_train_batch_end", "on_backward_end", "on_test_batch_begin",
    "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end",
)  # fmt: skip
HOOKS = (
    "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_test_begin",
    "on_test_end", "on_predict_begin", "on_predict_end", *BATCH_HOOKS,
)  # fmt: skip


class Recorder(Callback):
    """Keeps every call: the name of the hook, its index if it has one, and a copy of its logs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.inference: dict[str, bool] = {}

    def set_model(self, model) -> None:
        super().set_model(model)
        self.calls.append(("set_model", {}))

    def set_params(self, params) -> None:
        super().set_params(params)
        self.calls.append(("set_params", dict(params)))

    def close(self) -> None:
        self.calls.append(("close", {}))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def logs_of(self, hook: str) -> list[dict]:
        return [logs for name, logs in self.calls if name.split()[0] == hook]


def _recording(hook: str):
    def record(self, *args) -> None:
        index = f" {args[0]}" if args and isinstance(args[0], int) else ""
        logs = args[-1] if args and not isinstance(args[-1], int) else {}
        self.calls.append((hook + index, dict(logs)))
        self.inference[hook] = torch.is_inference_mode_enabled()

    return record


for _hook in HOOKS:
    setattr(Recorder, _hook, _recording(_hook))


class Prepared(Recorder):
    """The same, for a callback that can do without leaving the step's inference mode."""

    runs_in_step = True


def compiled(*metrics: str) -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=SGD(0.1), loss="mse", metrics=metrics)
    return model


def data(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * count).view(count, 2)
    return x, x[:, :1].sign()


def fit(model: Model, callbacks, count: int = 4, **arguments):
    options = {"batch_size": 2, "verbose": 0, "seed": 0} | arguments
    return model.fit(*data(count), callbacks=callbacks, **options)


def test_the_order_of_hooks_in_two_epochs_of_two_batches_with_validation() -> None:
    recorder = Recorder()
    fit(compiled(), recorder, epochs=2, validation_data=data(3))
    assert recorder.names == [
        "set_model",
        "set_params",
        "on_train_begin",
        "on_epoch_begin 0",
        "on_train_batch_begin 0",
        "on_backward_end 0",
        "on_train_batch_end 0",
        "on_train_batch_begin 1",
        "on_backward_end 1",
        "on_train_batch_end 1",
        "on_test_begin",
        "on_test_batch_begin 0",
        "on_test_batch_end 0",
        "on_test_batch_begin 1",
        "on_test_batch_end 1",
        "on_test_end",
        "on_epoch_end 0",
        "on_epoch_begin 1",
        "on_train_batch_begin 0",
        "on_backward_end 0",
        "on_train_batch_end 0",
        "on_train_batch_begin 1",
        "on_backward_end 1",
        "on_train_batch_end 1",
        "on_test_begin",
        "on_test_batch_begin 0",
        "on_test_batch_end 0",
        "on_test_batch_begin 1",
        "on_test_batch_end 1",
        "on_test_end",
        "on_epoch_end 1",
        "on_train_end",
        "close",
    ]


def test_the_order_of_hooks_in_evaluate() -> None:
    recorder = Recorder()
    compiled().evaluate(*data(3), batch_size=2, verbose=0, callbacks=recorder)
    assert recorder.names == [
        "set_model",
        "set_params",
        "on_test_begin",
        "on_test_batch_begin 0",
        "on_test_batch_end 0",
        "on_test_batch_begin 1",
        "on_test_batch_end 1",
        "on_test_end",
        "close",
    ]


def test_the_order_of_hooks_in_predict() -> None:
    recorder = Recorder()
    compiled().predict(data(3)[0], batch_size=2, verbose=0, callbacks=[recorder])
    assert recorder.names == [
        "set_model",
        "set_params",
        "on_predict_begin",
        "on_predict_batch_begin 0",
        "on_predict_batch_end 0",
        "on_predict_batch_begin 1",
        "on_predict_batch_end 1",
        "on_predict_end",
        "close",
    ]


RUNNING = ["loss", "accuracy"]
OF_THE_EPOCH = [*RUNNING, "val_loss", "val_accuracy"]


@pytest.mark.parametrize(
    ("hook", "keys"),
    [
        ("on_train_begin", []),
        ("on_epoch_begin", []),
        ("on_train_batch_begin", []),
        ("on_backward_end", []),
        ("on_train_batch_end", RUNNING),
        ("on_test_begin", []),
        ("on_test_batch_begin", []),
        ("on_test_batch_end", RUNNING),
        ("on_test_end", RUNNING),
        ("on_epoch_end", OF_THE_EPOCH),
        ("on_train_end", OF_THE_EPOCH),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} keys",
)
def test_logs_hold_the_keys_of_keras(hook: str, keys: list[str]) -> None:
    recorder = Recorder()
    fit(compiled("accuracy"), recorder, epochs=2, validation_data=data(3))
    told = recorder.logs_of(hook)
    assert told, "the hook is called"
    for logs in told:
        assert list(logs) == keys
        assert all(type(value) is float for value in logs.values())


def test_predict_tells_its_outputs_batch_by_batch() -> None:
    recorder, model = Recorder(), compiled()
    answer = model.predict(data(3)[0], batch_size=2, verbose=0, callbacks=recorder)
    batches = [logs.pop("outputs") for logs in recorder.logs_of("on_predict_batch_end")]
    assert [len(batch) for batch in batches] == [2, 1]
    assert (answer[:2] == batches[0]).all() and (answer[2:] == batches[1]).all()
    for hook in ("on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end",
                 "on_predict_end"):
        assert not any(recorder.logs_of(hook)), f"nothing else is told in {hook}"


@pytest.mark.parametrize("raises", [False, True])
def test_a_batch_of_validation_and_its_answers_are_seen_while_hooks_run(raises: bool) -> None:
    seen, (x, y) = [], data()

    class Looks(Callback):
        def on_test_batch_end(self, batch, logs=None) -> None:
            seen.append(self.model.tested)
            assert copy.deepcopy(self.model).tested is None
            if raises:
                raise OSError("no")

    model = compiled()
    try:
        model.evaluate(x, y, 2, 0, callbacks=Looks())
    except OSError:
        assert raises
    ((x_batch, y_batch, weights), (loss, y_pred)), *_ = seen
    assert weights is None and loss.shape == ()
    assert torch.equal(x_batch, x[:2]) and torch.equal(y_batch, y[:2])
    assert (y_pred.numpy() == model.predict(x[:2], verbose=0)).all()
    assert model.tested is None and len(seen) == (1 if raises else 2)


def test_params_tell_what_fit_knows() -> None:
    recorder = Recorder()
    history = fit(compiled("accuracy"), recorder, count=5, epochs=7, initial_epoch=5, seed=3)
    (params,) = recorder.logs_of("set_params")
    assert {name: params[name] for name in ("epochs", "steps", "verbose", "seed")} == {
        "epochs": 7, "steps": 3, "verbose": 0, "seed": 3,
    }
    assert history.params["epochs"] == 7


@pytest.mark.parametrize("kind", [Recorder, Prepared])
def test_hooks_run_outside_inference_mode_unless_a_callback_wants_it(kind: type) -> None:
    recorder, model = kind(), compiled("accuracy")
    fit(model, recorder, validation_data=data())
    model.predict(data()[0], verbose=0, callbacks=recorder)
    assert set(recorder.inference) == set(HOOKS)
    inside = {hook for hook, inside in recorder.inference.items() if inside}
    assert inside == (set(BATCH_HOOKS) if kind is Prepared else set())


def test_callbacks_of_both_kinds_are_told_in_their_order_each_in_its_mode() -> None:
    told = []

    class Outside(Callback):
        def on_train_batch_begin(self, batch, logs=None) -> None:
            told.append((self, torch.is_inference_mode_enabled()))

    class Inside(Outside):
        runs_in_step = True

    row = [Outside(), Outside(), Inside(), Outside(), Inside()]
    fit(compiled(), row, count=2)
    assert told == [(each, each.runs_in_step) for each in row]


def test_a_tensor_made_in_a_batch_hook_can_be_used_afterwards() -> None:
    class Sums(Callback):
        def on_train_begin(self, logs=None) -> None:
            self.total = torch.zeros(3)

        def on_train_batch_end(self, batch, logs=None) -> None:
            first = next(self.model.module.parameters())
            self.total = self.total + first.data.sum(1)

    sums = Sums()
    fit(compiled(), sums)
    sums.total.add_(1)  # raises for a tensor that was made in inference mode
    assert not sums.total.is_inference()


def test_a_hook_that_nobody_overrides_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    class Epochs(Callback):
        ended = 0

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.ended += 1

    def refuse(*_):
        raise AssertionError("an idle hook was called")

    for hook in (*BATCH_HOOKS, "on_batch_begin", "on_batch_end"):
        monkeypatch.setattr(Callback, hook, refuse)
    epochs, model = Epochs(), compiled("accuracy")
    fit(model, epochs, epochs=3, validation_data=data(3))
    model.evaluate(*data(), verbose=0, callbacks=epochs)
    model.predict(data()[0], verbose=0, callbacks=epochs)
    assert epochs.ended == 3


@pytest.mark.parametrize("when", ["begin", "end"])
def test_on_batch_is_another_name_for_on_train_batch(when: str) -> None:
    seen: list[int] = []
    hook = {f"on_batch_{when}": lambda self, batch, logs=None: seen.append(batch)}
    kind = type("Batches", (Callback,), hook)
    fit(compiled(), kind(), validation_data=data(3))
    assert seen == [0, 1]


def test_a_hook_may_be_set_on_an_instance() -> None:
    seen: list[int] = []
    callback = Callback()
    callback.on_train_batch_end = lambda batch, logs: seen.append(batch)
    fit(compiled(), callback)
    assert seen == [0, 1]


def test_a_callback_may_leave_out_super_init() -> None:
    class Bare(Callback):
        def __init__(self) -> None:
            self.epochs: list[int] = []

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.epochs.append(epoch)

    bare = Bare()
    fit(compiled(), bare, epochs=2)
    assert bare.epochs == [0, 1]


def test_a_callback_with_a_length_of_zero_is_told_too() -> None:
    class Counted(Callback):
        epochs = 0

        def __len__(self) -> int:
            return self.epochs

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.epochs += 1

    counted = Counted()
    fit(compiled(), counted, epochs=2)
    assert counted.epochs == 2


def _named(name: str, seen: list[str]) -> Callback:
    callback = Callback()
    callback.on_epoch_end = lambda epoch, logs: seen.append(name)
    return callback


@pytest.mark.parametrize(
    ("nest", "order"),
    [
        (lambda a, b, c: None, ""),
        (lambda a, b, c: [], ""),
        (lambda a, b, c: a, "a"),
        (lambda a, b, c: [a, b, c], "abc"),
        (lambda a, b, c: (c, a), "ca"),
        (lambda a, b, c: [[a, [b]], (), c], "abc"),
        (lambda a, b, c: CallbackList([b, c]), "bc"),
        (lambda a, b, c: [a, a], "aa"),
    ],
    ids=["none", "empty", "one", "list", "tuple", "nested", "CallbackList", "twice"],
)
def test_callbacks_come_one_or_in_lists_and_keep_their_order(nest, order: str) -> None:
    seen: list[str] = []
    fit(compiled(), nest(*(_named(name, seen) for name in "abc")))
    assert "".join(seen) == order


def test_keys_added_to_the_logs_are_seen_by_later_callbacks_and_history() -> None:
    seen: dict[str, list[str]] = {}

    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["added"] = 10.0 + epoch

    def reader(name: str) -> Callback:
        callback = Callback()
        callback.on_epoch_end = lambda epoch, logs: seen.setdefault(name, list(logs))
        return callback

    last = Recorder()
    history = fit(compiled(), [reader("before"), Adds(), reader("after"), last], epochs=2)
    assert seen == {"before": ["loss"], "after": ["loss", "added"]}
    assert list(last.logs_of("on_epoch_end")[0]) == ["loss", "added"]
    assert list(last.logs_of("on_train_end")[0]) == ["loss"], "what is added is of its epoch"
    assert history.history["added"] == [10.0, 11.0]


def test_keys_added_to_the_logs_of_a_batch_are_seen_by_later_callbacks_of_that_batch() -> None:
    seen = []

    class Adds(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            logs["added"] = batch

    class Reads(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            seen.append(dict(logs))

    history = fit(compiled(), [Reads(), Adds(), Reads()])
    assert ["added" in logs for logs in seen] == [False, True, False, True]
    assert list(history.history) == ["loss"], "what is added to a batch is not of the epoch"


# ---- batch logs are read when they are looked at ------------------------------------------------


class Keeps(Callback):
    """Keeps the logs of one batch, looked at or not, and reads them at another batch."""

    def __init__(self, read_at: tuple[int, int], look: bool) -> None:
        self.read_at, self.look, self.epoch = read_at, look, 0

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None) -> None:
        if (self.epoch, batch) == (0, 0):
            self.kept, self.value = logs, logs["loss"] if self.look else None
        elif (self.epoch, batch) == self.read_at:
            self.value_then = self.kept["loss"]


@pytest.mark.parametrize("read_at", [(0, 1), (1, 0), (1, 1)], ids=str)
def test_batch_logs_first_read_after_a_later_batch_raise(read_at: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError, match=re.escape("Keep dict(logs)")):
        fit(compiled(), Keeps(read_at, look=False), epochs=2)


@pytest.mark.parametrize("read_at", [(0, 1), (1, 0), (1, 1)], ids=str)
def test_batch_logs_that_were_looked_at_keep_their_values(read_at: tuple[int, int]) -> None:
    keeps = Keeps(read_at, look=True)
    fit(compiled(), keeps, epochs=2)
    assert keeps.value_then == keeps.value


def test_the_logs_of_a_batch_behave_like_a_dictionary() -> None:
    seen = []

    class Looks(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            logs["extra"] = 1.0
            assert logs.get("loss") == logs["loss"] and logs.get("none") is None
            assert "loss" in logs and len(logs) == 2 and list(logs) == ["loss", "extra"]
            assert repr(logs) == repr(dict(logs))
            del logs["extra"]
            seen.append(dict(logs))

    fit(compiled(), Looks())
    assert len(seen) == 2 and all(list(logs) == ["loss"] for logs in seen)


# ---- between backward and step ------------------------------------------------------------------


def test_on_backward_end_sees_the_gradients_before_the_update() -> None:
    class Gradients(Callback):
        def on_backward_end(self, batch) -> None:
            self.before = self.model.module.state_dict()
            self.gradients = {
                name: p.grad.clone() for name, p in self.model.module.named_parameters()
            }

    gradients, model = Gradients(), compiled()
    fit(model, gradients, batch_size=4)
    assert any(gradient.abs().sum() > 0 for gradient in gradients.gradients.values())
    for name, after in model.module.state_dict().items():
        expected = gradients.before[name] - 0.1 * gradients.gradients[name]
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-7)


def test_on_backward_end_may_change_the_gradients() -> None:
    class Stops(Callback):
        def on_backward_end(self, batch) -> None:
            for parameter in self.model.module.parameters():
                parameter.grad.zero_()

    model = compiled()
    model.build((2,))
    before = model.module.state_dict()
    fit(model, Stops(), epochs=2)
    assert all(torch.equal(before[name], now) for name, now in model.module.state_dict().items())


def test_hooks_of_a_fit_that_is_over_are_not_called_any_more() -> None:
    recorder, model = Recorder(), compiled()
    fit(model, recorder)
    recorder.calls.clear()
    model.train_on_batch(*data())
    fit(model, None)
    assert recorder.calls == []


# ---- stopping -----------------------------------------------------------------------------------


class Stop(Callback):
    """Stops training in one hook."""

    def __init__(self, hook: str, at: int) -> None:
        setattr(self, hook, lambda index, logs=None: self._stop() if index == at else None)

    def _stop(self) -> None:
        self.model.stop_training = True


def test_stopping_in_a_batch_hook_still_validates_and_ends_the_epoch() -> None:
    recorder = Recorder()
    stop = Stop("on_train_batch_end", at=1)
    history = fit(compiled(), [stop, recorder], count=8, epochs=3, validation_data=data(2))
    assert recorder.names[-8:] == [
        "on_train_batch_end 1", "on_test_begin", "on_test_batch_begin 0", "on_test_batch_end 0",
        "on_test_end", "on_epoch_end 0", "on_train_end", "close",
    ]  # fmt: skip
    assert history.epoch == [0] and list(history.history) == ["loss", "val_loss"]


@pytest.mark.parametrize(
    "hook", ["on_train_batch_begin", "on_backward_end", "on_train_batch_end"]
)
def test_stopping_in_any_batch_hook_ends_with_that_batch(hook: str) -> None:
    model = compiled()
    fit(model, Stop(hook, at=1), count=8, epochs=3)
    assert model.optimizer.iterations == 2


@pytest.mark.parametrize(("hook", "epochs"), [("on_epoch_begin", [0, 1]), ("on_epoch_end", [0, 1])])
def test_stopping_in_an_epoch_hook_ends_with_that_epoch(hook: str, epochs: list[int]) -> None:
    assert fit(compiled(), Stop(hook, at=1), epochs=4).epoch == epochs


def test_the_next_fit_is_not_stopped_by_the_last_one() -> None:
    model = compiled()
    fit(model, Stop("on_epoch_end", at=0), epochs=3)
    assert model.stop_training
    assert fit(model, None, epochs=3).epoch == [0, 1, 2]


# ---- errors, and closing ------------------------------------------------------------------------


class Fails(Recorder):
    """Raises in one hook, and if asked in close."""

    def __init__(self, hook: str, close: Exception | None = None) -> None:
        super().__init__()
        self._close_error = close
        setattr(self, hook, self._fail)

    def _fail(self, *_) -> None:
        raise ValueError("training failed")

    def close(self) -> None:
        super().close()
        if self._close_error:
            raise self._close_error


FIT_HOOKS = [hook for hook in HOOKS if "predict" not in hook]


@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_every_callback_is_closed_whatever_hook_raises(hook: str) -> None:
    first, failing, last = Recorder(), Fails(hook), Recorder()
    with pytest.raises(ValueError, match="training failed"):
        fit(compiled(), [first, failing, last], epochs=2, validation_data=data(2))
    for callback in (first, failing, last):
        assert callback.names[-1] == "close" and callback.names.count("close") == 1
        assert "on_train_end" not in callback.names or hook == "on_train_end"


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_every_callback_is_closed_when_evaluate_or_predict_raise(method: str) -> None:
    hook = "on_test_batch_end" if method == "evaluate" else "on_predict_batch_end"
    recorder, failing, model = Recorder(), Fails(hook), compiled()
    inputs = data() if method == "evaluate" else data()[:1]
    with pytest.raises(ValueError, match="training failed"):
        getattr(model, method)(*inputs, verbose=0, callbacks=[failing, recorder])
    assert recorder.names[-1] == failing.names[-1] == "close"


def test_every_callback_is_closed_even_if_one_cannot_be() -> None:
    callbacks = [Recorder(), Fails("no_hook", close=OSError("disk full")), Recorder()]
    with pytest.raises(OSError, match="disk full"):
        fit(compiled(), callbacks)
    assert [callback.names.count("close") for callback in callbacks] == [1, 1, 1]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_an_error_in_close_does_not_hide_the_error_in_training() -> None:
    callbacks = [Recorder(), Fails("on_epoch_end", close=OSError("disk full")), Recorder()]
    with pytest.raises((ValueError, OSError)) as caught:
        fit(compiled(), callbacks)
    assert any("training failed" in str(error) for error in _chain(caught.value))
    assert [callback.names.count("close") for callback in callbacks] == [1, 1, 1]


def test_a_model_can_be_trained_and_asked_after_a_hook_raised() -> None:
    model = compiled()
    with pytest.raises(ValueError, match="training failed"):
        fit(model, Fails("on_backward_end"))
    assert not model.module.training
    assert model.predict(data()[0], verbose=0).shape == (4, 1)
    assert fit(model, None, epochs=2).epoch == [0, 1]


def test_one_callback_serves_several_fits_and_several_models() -> None:
    recorder = Recorder()
    one, other = compiled(), compiled()
    for model in (one, other, one):
        recorder.calls.clear()
        fit(model, recorder)
        assert recorder.model is model
        assert recorder.names[0] == "set_model" and recorder.names[-1] == "close"


def test_a_list_of_callbacks_serves_loops_of_ones_own() -> None:
    first, second = Recorder(), Recorder()
    hooks = CallbackList([first, [second]], model="a model", params={"epochs": 1})
    assert list(hooks) == [first, second] and first.model == "a model"
    with pytest.raises(ArithmeticError), hooks.closing():
        hooks.on_train_begin({})
        hooks.on_epoch_begin(0, {})
        hooks.on_train_batch_begin(0, {})
        hooks.on_backward_end(0)
        hooks.on_train_batch_end(0, {"loss": 1.0})
        raise ArithmeticError
    assert first.names == second.names == [
        "set_model", "set_params", "on_train_begin", "on_epoch_begin 0", "on_train_batch_begin 0",
        "on_backward_end 0", "on_train_batch_end 0", "close",
    ]  # fmt: skip
    assert second.logs_of("on_train_batch_end") == [{"loss": 1.0}]


def test_batch_hooks_of_a_list_run_outside_inference_mode_too() -> None:
    recorder = Recorder()
    with torch.inference_mode():
        CallbackList(recorder).on_train_batch_end(0, {})
    assert recorder.inference == {"on_train_batch_end": False}
