"""SwapEMAWeights: averages are in while a model is evaluated, and never a moment longer."""

import copy
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    EarlyStopping,
    ModelCheckpoint,
    SwapEMAWeights,
)
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD
from tests.callbacks.states import same, weights
from tests.callbacks.stopped import Dies

X = torch.linspace(-1, 1, 12).view(12, 1)
Y = X.square()


def compiled(**more) -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.2, use_ema=True, ema_momentum=0.8, **more), loss="mse")
    return model


def fit(model: Model, *callbacks, **arguments):
    options = {"batch_size": 3, "epochs": 3, "verbose": 0, "seed": 3} | arguments
    return model.fit(X, Y, callbacks=list(callbacks), **options)


def state(model: Model) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.module.state_dict())


def averages(model: Model) -> dict[str, torch.Tensor]:
    """The other ones of weights and averages."""
    model.optimizer.swap_ema()
    found = state(model)
    model.optimizer.swap_ema()
    return found


class Watches(Callback):
    """Keeps, at every hook, what is in the model and what is not."""

    def __init__(self, *hooks: str) -> None:
        self.seen: dict[str, list] = {hook: [] for hook in hooks}
        for hook in hooks:
            setattr(self, hook, lambda *_, hook=hook, **__: self._look(hook))

    def _look(self, hook: str) -> None:
        self.seen[hook].append((state(self.model), averages(self.model)))


def raw_run(**arguments) -> list:
    """Weights and averages at the end of each epoch of a run without the callback."""
    watch = Watches("on_epoch_end")
    fit(compiled(), watch, **arguments)
    return watch.seen["on_epoch_end"]


# ---- when which are in --------------------------------------------------------------------------


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_validation_sees_averages_and_training_goes_on_from_the_weights(swap_on_epoch) -> None:
    hooks = ("on_test_begin", "on_epoch_end", "on_epoch_begin")
    watch, expected = Watches(*hooks), raw_run()
    model = compiled()
    fit(model, SwapEMAWeights(swap_on_epoch), watch, validation_data=(X, Y))
    assert len(expected) == 3
    for index, (raw, mean) in enumerate(expected):
        assert not same(raw, mean)
        assert same(watch.seen["on_test_begin"][index][0], mean)
        assert same(watch.seen["on_epoch_end"][index][swap_on_epoch], raw)
        assert same(watch.seen["on_epoch_end"][index][not swap_on_epoch], mean)
        if index:
            assert same(watch.seen["on_epoch_begin"][index][0], expected[index - 1][0])
    assert same(state(model), expected[-1][1]), "the end of a fit puts the averages in"


def test_logs_of_validation_are_those_of_the_averages() -> None:
    model = compiled()
    history = fit(model, SwapEMAWeights(), validation_data=(X, Y))
    assert history.history["val_loss"][-1] == model.evaluate(X, Y, 3, verbose=0)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_evaluate_and_predict_use_averages_and_leave_the_weights(method, swap_on_epoch) -> None:
    model = compiled()
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    raw, mean = state(model), averages(model)
    watch = Watches("on_test_begin", "on_predict_begin", "on_test_end", "on_predict_end")
    ask = {"evaluate": lambda **more: model.evaluate(X, Y, verbose=0, **more),
           "predict": lambda **more: model.predict(X, verbose=0, **more).tolist()}[method]
    plain = ask()
    swapped = ask(callbacks=[SwapEMAWeights(swap_on_epoch), watch])
    assert swapped != plain
    (begun,), (ended,) = (found for found in watch.seen.values() if found)
    assert same(begun[0], mean) and same(ended[0], raw)
    assert same(state(model), raw) and same(averages(model), mean)
    assert ask() == plain


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", ["on_test_batch_end", "on_predict_batch_end"])
def test_weights_are_back_when_evaluation_raises(hook: str, error) -> None:
    class Fails(Callback):
        pass

    def fail(*_) -> None:
        raise error

    fails, model = Fails(), compiled()
    setattr(fails, hook, fail)
    fit(model, epochs=1)
    model.train_on_batch(X, Y)
    raw, mean = state(model), averages(model)
    with pytest.raises(error):
        if "test" in hook:
            model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights(), fails])
        else:
            model.predict(X, verbose=0, callbacks=[SwapEMAWeights(), fails])
    assert same(state(model), raw) and same(averages(model), mean)


def test_an_instance_that_saw_an_evaluation_fail_serves_the_next_one() -> None:
    class Fails(Callback):
        def on_test_batch_end(self, batch, logs=None) -> None:
            raise ValueError("no")

    model, swap, watch = compiled(), SwapEMAWeights(), Watches("on_test_end")
    fit(model, epochs=1)
    model.train_on_batch(X, Y)
    raw = state(model)
    with pytest.raises(ValueError, match="no"):
        model.evaluate(X, Y, verbose=0, callbacks=[swap, Fails()])
    model.evaluate(X, Y, verbose=0, callbacks=[swap, watch])
    assert same(watch.seen["on_test_end"][0][0], raw)


def test_in_a_loop_of_ones_own_the_next_epoch_starts_with_the_weights() -> None:
    model, swap = compiled(), SwapEMAWeights(True)
    fit(model, epochs=1)
    model.train_on_batch(X, Y)
    raw, mean = state(model), averages(model)
    hooks = CallbackList(swap, model)
    hooks.on_epoch_end(0, {})
    assert same(state(model), mean)
    hooks.on_epoch_begin(1, {})
    assert same(state(model), raw)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("hook", ["on_test_batch_end", "on_epoch_end", "on_train_batch_end"])
def test_weights_are_back_when_training_raises(hook: str, swap_on_epoch: bool) -> None:
    fails, model, calls = Callback(), compiled(), []

    def fail(*_) -> None:
        calls.append(hook)
        if len(calls) == 2:
            raise ValueError("no")

    setattr(fails, hook, fail)
    watch = Watches("on_train_batch_end")
    swap = SwapEMAWeights(swap_on_epoch)
    with pytest.raises(ValueError, match="no"):
        fit(model, watch, swap, fails, validation_data=(X, Y))
    assert same(state(model), watch.seen["on_train_batch_end"][-1][0])
    assert swap.state_dict() == {"swapped": False}


def test_a_pass_within_a_pass_swaps_once() -> None:
    model, swap = compiled(), SwapEMAWeights()
    fit(model, epochs=1)
    model.train_on_batch(X, Y)
    raw, mean = state(model), averages(model)
    outer = CallbackList(swap, model)
    outer.on_test_begin({})
    inner = CallbackList(swap, model)
    inner.on_predict_begin({})
    inner.on_predict_end({})
    inner.close()
    assert same(state(model), mean), "the outer pass still runs"
    outer.on_test_end({})
    assert same(state(model), raw)


class Evaluates(Callback):
    """Evaluates with a callback that fit has, too; on other data where it is to fail."""

    def __init__(self, swap: SwapEMAWeights, fails: str = "") -> None:
        self.swap, self.fails = swap, fails

    def on_epoch_end(self, epoch, logs=None) -> None:
        x = torch.ones(4, 7) if self.fails == "before" else X
        callbacks = [self.swap, *([self] if self.fails else [])]
        try:
            self.model.evaluate(x, Y[: len(x)], verbose=0, callbacks=callbacks)
        except ValueError:
            assert self.fails

    def on_test_batch_end(self, batch, logs=None) -> None:
        if self.fails == "within":
            raise ValueError("no")


@pytest.mark.parametrize("fails", ["", "before", "within"])
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_an_evaluate_within_fit_leaves_what_is_in(swap_on_epoch: bool, fails: str) -> None:
    swap, expected = SwapEMAWeights(swap_on_epoch), raw_run()
    watch, model = Watches("on_epoch_end", "on_epoch_begin"), compiled()
    fit(model, swap, Evaluates(swap, fails), watch)
    for index, (raw, mean) in enumerate(expected):
        assert same(watch.seen["on_epoch_end"][index][swap_on_epoch], raw)
        assert same(watch.seen["on_epoch_end"][index][not swap_on_epoch], mean)
        if index:
            assert same(watch.seen["on_epoch_begin"][index][0], expected[index - 1][0])
    assert swap.state_dict() == {"swapped": False} and "loss" in swap.params["logs"]
    assert swap.params["epochs"] == 3, "those of fit, not those of the evaluate within it"


@pytest.mark.parametrize("fails", ["", "before", "within"])
def test_weights_are_back_when_training_raises_after_an_evaluate_within_it(fails: str) -> None:
    swap, model, stops = SwapEMAWeights(True), compiled(), Callback()

    def stop(*_) -> None:
        raise KeyError("no")

    stops.on_epoch_end = stop
    watch = Watches("on_train_batch_end")
    with pytest.raises(KeyError):
        fit(model, watch, swap, Evaluates(swap, fails), stops)
    assert same(state(model), watch.seen["on_train_batch_end"][-1][0])


def test_no_batch_pays_for_it() -> None:
    assert not SwapEMAWeights(True).listens("on_settled")
    assert not SwapEMAWeights(True).listens("on_train_batch_end")


# ---- callbacks after it -------------------------------------------------------------------------


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_a_checkpoint_after_it_saves_averages_if_it_swaps_on_epochs(swap_on_epoch, tmp_path):
    expected = raw_run()
    fit(compiled(), SwapEMAWeights(swap_on_epoch),
        ModelCheckpoint(tmp_path / "{epoch}.safetensors", save_weights_only=True))
    for epoch, pair in enumerate(expected, 1):
        assert same(weights(tmp_path / f"{epoch}.safetensors"), pair[swap_on_epoch])


def test_a_whole_model_in_a_file_holds_averages_and_trains_on_after_one_swap(tmp_path) -> None:
    def whole() -> Model:
        model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
        model.compile(optimizer=SGD(0.2, momentum=0.9, use_ema=True, ema_momentum=0.8), loss="mse")
        return model

    model, watch = whole(), Watches("on_epoch_end")
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.safetensors")
    history = fit(model, watch, SwapEMAWeights(True), checkpoint, validation_data=(X, Y)).history
    raw, mean = watch.seen["on_epoch_end"][1]
    loaded = Model.load(tmp_path / "2.safetensors", device="cpu")
    assert same(state(loaded), mean) and same(averages(loaded), raw)
    assert loaded.evaluate(X, Y, 3, verbose=0) == history["val_loss"][1]
    loaded.optimizer.swap_ema()
    rest = fit(loaded, SwapEMAWeights(True), initial_epoch=2, validation_data=(X, Y)).history
    assert rest == {name: values[2:] for name, values in history.items()}
    assert same(state(loaded), state(model)) and same(averages(loaded), averages(model))


def test_a_checkpoint_before_it_saves_weights(tmp_path: Path) -> None:
    expected = raw_run()
    fit(compiled(), ModelCheckpoint(tmp_path / "{epoch}.safetensors"), SwapEMAWeights(True))
    for epoch, (raw, _) in enumerate(expected, 1):
        assert same(weights(tmp_path / f"{epoch}.safetensors"), raw)


def test_the_averages_of_the_best_epoch_can_be_restored() -> None:
    expected, model = raw_run(), compiled()
    fit(model, SwapEMAWeights(True), EarlyStopping("loss", restore_best_weights=True))
    assert same(state(model), expected[-1][1])


# ---- going on with a run that was saved ---------------------------------------------------------


@pytest.mark.parametrize("swapped", [False, True])
def test_states_of_model_and_callback_taken_together_are_exact(swapped: bool) -> None:
    model, swap = compiled(), SwapEMAWeights(True)
    swap.set_model(model)
    fit(model, epochs=1)
    model.train_on_batch(X, Y)
    raw, mean = state(model), averages(model)
    if swapped:
        swap.on_epoch_end(0, {})
    kept = state(model), copy.deepcopy(model.optimizer.state_dict()), swap.state_dict()
    other, swap = compiled(), SwapEMAWeights(True)
    other.build((1,))
    swap.set_model(other)
    swap.on_train_begin({})
    other.module.load_state_dict(kept[0])
    other.optimizer.load_state_dict(kept[1])
    swap.load_state_dict(kept[2])
    assert same(state(other), mean if swapped else raw)
    swap.on_restore()
    assert same(state(other), raw) and same(averages(other), mean)


@pytest.mark.parametrize("backup_first", [False, True])
@pytest.mark.parametrize("dies", [Dies(2), Dies(2, 1), Dies(3)], ids=["epoch", "batch", "last"])
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_a_run_started_again_ends_in_the_same_weights_and_logs(
    swap_on_epoch, dies, backup_first, tmp_path: Path
) -> None:
    def train(*more: Callback) -> Model:
        model = compiled()
        callbacks = [SwapEMAWeights(swap_on_epoch), BackupAndRestore(tmp_path / "backup")]
        fit(model, *callbacks[::-1 if backup_first else 1], *more, epochs=4,
            validation_data=(X, Y))
        return model

    class DiesSettled(Dies):
        """After its epoch, when the backup of it is there."""

        on_epoch_end = Callback.on_epoch_end

        def on_settled(self, epoch, batch=None) -> None:
            if batch is None and self.place == (epoch, None):
                raise SystemExit

    whole = train()
    with pytest.raises(SystemExit):
        train(DiesSettled(*dies.place))
    again = train()
    assert same(state(again), state(whole)) and same(averages(again), averages(whole))
    assert again.history.history == whole.history.history


# ---- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_an_optimizer_without_averages_is_refused(method: str) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    more = {} if method == "predict" else {"y": Y}
    with pytest.raises(ValueError, match=r"SwapEMAWeights expects .*SGD.*use_ema=True"):
        getattr(model, method)(X, **more, verbose=0, callbacks=SwapEMAWeights())


def test_a_model_without_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SwapEMAWeights expects .*got None"):
        Model(Linear(1), device="cpu").predict(X, verbose=0, callbacks=SwapEMAWeights())


@pytest.mark.parametrize("value", [None, 1, "yes"], ids=repr)
def test_a_flag_is_a_flag(value) -> None:
    with pytest.raises(ValueError, match=r"SwapEMAWeights\(swap_on_epoch\) expects True or False"):
        SwapEMAWeights(value)
