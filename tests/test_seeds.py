"""A seed decides a run to the bit, and nothing but the seed does."""

import random

import numpy as np
import pytest
import torch

from kerasish import Model, set_seed
from kerasish.callbacks import Callback, EarlyStopping
from kerasish.layers import Dropout, Linear, Tanh
from kerasish.optimizers import SGD, Adam

OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.05, momentum=0.9),
    "Nesterov": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: Adam(0.01),
}


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    return x, x.prod(1, keepdim=True).sign()


def compiled(optimizer: str = "momentum") -> Model:
    """A model with noise in it, not built yet."""
    model = Model(Linear(6), Tanh(), Dropout(0.4), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=OPTIMIZERS[optimizer](), loss="mse", metrics=["accuracy"])
    return model


def fit(model: Model, **arguments):
    options = {"batch_size": 7, "epochs": 3, "verbose": 0, "validation_split": 0.2} | arguments
    return model.fit(*data(), **options)


def run(optimizer: str = "momentum", **arguments) -> tuple[dict, dict]:
    """What one fit of a fresh model logs, and the weights that it ends with."""
    model = compiled(optimizer)
    return fit(model, **arguments).history, model.module.state_dict()


def same(one: tuple[dict, dict], other: tuple[dict, dict]) -> bool:
    """Whether two runs are equal to the bit."""
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_gives_the_same_run_to_the_bit(optimizer: str) -> None:
    first = run(optimizer, seed=3)
    torch.rand(5), np.random.rand(5), random.random()
    assert same(first, run(optimizer, seed=3))


def test_another_seed_gives_another_run() -> None:
    runs = [run(seed=seed) for seed in range(4)]
    assert len({tuple(history["loss"]) for history, _ in runs}) == 4
    assert len({tuple(state["0.weight"].flatten().tolist()) for _, state in runs}) == 4


@pytest.mark.parametrize("what", ["initial values", "order", "noise"])
def test_a_seed_decides_initial_values_order_and_noise(what: str) -> None:
    def loss(seed: int) -> list[float]:
        noise = Dropout(0.4 if what == "noise" else 0.0)
        model = Model(Linear(6), Tanh(), noise, Linear(1), device="cpu")
        model.compile(optimizer=SGD(0.0 if what == "initial values" else 0.1), loss="mse")
        if what != "initial values":
            set_seed(1)
            model.build((2,))
        return fit(model, seed=seed, shuffle=what == "order").history["loss"]

    assert loss(0) == loss(0) != loss(1)


def test_noise_differs_from_batch_to_batch_and_from_epoch_to_epoch() -> None:
    class Losses(Model):
        """Keeps the loss of each batch; the samples are equal, so noise alone tells them apart."""

        def train_step(self, x, y, sample_weight=None):
            loss, y_pred = super().train_step(x, y, sample_weight)
            self.__dict__.setdefault("losses", []).append(float(loss))
            return loss, y_pred

    model = Losses(Linear(6), Tanh(), Dropout(0.5), Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse")
    model.fit(torch.ones(20, 2), torch.ones(20), batch_size=4, epochs=3, verbose=0, seed=0)
    assert len(set(model.losses)) == 15


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
def test_set_seed_repeats_a_run_that_has_no_seed(shuffle: bool) -> None:
    runs = []
    for seed in (5, 5, 6):
        set_seed(seed)
        runs.append(run(shuffle=shuffle))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


def test_two_runs_without_a_seed_differ() -> None:
    assert not same(run(), run())


def test_the_seed_of_a_run_is_kept_and_repeats_it() -> None:
    first, again = compiled(), compiled()
    history = fit(first)
    assert isinstance(history.seed, int)
    repeated = fit(again, seed=history.seed)
    assert repeated.seed == history.seed
    assert same((history.history, first.module.state_dict()),
                (repeated.history, again.module.state_dict()))


def test_a_given_seed_is_kept() -> None:
    assert fit(compiled(), seed=12).seed == 12


class Order(Model):
    """Keeps the first column of each batch: which samples came in which order."""

    def train_step(self, x, y, sample_weight=None):
        self.__dict__.setdefault("seen", []).extend(x[:, 0].tolist())
        return super().train_step(x, y, sample_weight)


def orders(seed: int, epochs: range, fits: int = 1) -> list[tuple[float, ...]]:
    model = Order(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    for _ in range(fits):
        model.seen = []
        fit(model, seed=seed, epochs=epochs.stop, initial_epoch=epochs.start, validation_split=0.0)
    return [tuple(model.seen[start : start + 30]) for start in range(0, len(model.seen), 30)]


def test_the_order_differs_from_epoch_to_epoch() -> None:
    assert len(set(orders(0, range(5)))) == 5


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert orders(0, range(2, 5)) == orders(0, range(5))[2:]
    assert orders(0, range(3), fits=2) == orders(0, range(3))
    assert orders(0, range(3)) != orders(1, range(3))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_epochs_and_then_three_more_equal_six_in_one_go(optimizer: str) -> None:
    whole, parts = compiled(optimizer), compiled(optimizer)
    expected = fit(whole, epochs=6, seed=1).history
    first = fit(parts, epochs=3, seed=1)
    second = fit(parts, initial_epoch=3, epochs=6, seed=1)
    assert first.epoch + second.epoch == list(range(6))
    joined = {name: first.history[name] + second.history[name] for name in expected}
    assert same((expected, whole.module.state_dict()), (joined, parts.module.state_dict()))


def test_the_same_seed_in_a_second_fit_repeats_order_and_noise_not_weights() -> None:
    model = compiled()
    first = fit(model, seed=1)
    assert first.history["loss"] != fit(model, seed=1).history["loss"], "training goes on"


# ---- what must not change a run -----------------------------------------------------------------


class Meddles(Callback):
    """Does something in every hook, and remembers that it did."""

    done = False

    def _meddle(self, *_) -> None:
        self.meddle()
        self.done = True

    on_train_begin = on_epoch_begin = on_train_batch_begin = on_backward_end = _meddle
    on_train_batch_end = on_epoch_end = on_train_end = _meddle
    on_test_begin = on_test_batch_begin = on_test_batch_end = on_test_end = _meddle


class Draws(Meddles):
    def meddle(self) -> None:
        torch.rand(3), torch.randn(2), torch.randperm(4), random.random(), np.random.rand(2)


class Seeds(Meddles):
    def meddle(self) -> None:
        set_seed(0)


class Builds(Meddles):
    def meddle(self) -> None:
        Linear(3).build((2,))


class MakesNoise(Meddles):
    def meddle(self) -> None:
        Dropout(0.5).train()(torch.ones(4, 2))


class Asks(Meddles):
    def meddle(self) -> None:
        self.model.predict(data()[0], verbose=0)
        self.model.evaluate(*data(), verbose=0)


class Trains(Meddles):
    def meddle(self) -> None:
        run(epochs=1)


@pytest.mark.parametrize("kind", [Draws, Seeds, Builds, MakesNoise, Asks, Trains])
def test_a_callback_does_not_change_how_a_model_is_trained(kind: type[Meddles]) -> None:
    callback = kind()
    assert same(run(seed=2), run(seed=2, callbacks=callback)) and callback.done


@pytest.mark.parametrize(
    "arguments",
    [{"verbose": 2}, {"callbacks": EarlyStopping("loss", patience=9)}, {"validation_data": data()}],
    ids=["a line an epoch", "EarlyStopping", "validation data"],
)
def test_what_is_shown_or_watched_does_not_change_how_a_model_is_trained(arguments) -> None:
    plain, watched = (run(seed=2, validation_split=0.0, **more) for more in ({}, arguments))
    assert plain[0]["loss"] == watched[0]["loss"]
    assert same(({}, plain[1]), ({}, watched[1]))


@pytest.mark.parametrize("every", [1, 3, 50])
def test_looking_at_running_means_changes_no_bit_of_the_final_ones(every: int) -> None:
    class Looks(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            if batch % every == 0:
                logs["mae"]

        on_test_batch_end = on_train_batch_end

    def logged(callback: Callback | None) -> dict:
        model = Model(Linear(6, dtype=torch.float64), device="cpu")
        model.compile(optimizer=SGD(0.01), loss="mse", metrics=["mae", "mse"])
        x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        y = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
        return model.fit(x, y, batch_size=3, epochs=3, verbose=0, seed=0, callbacks=callback,
                         validation_split=0.5).history

    assert logged(Looks()) == logged(None)


# ---- what a run must not change -----------------------------------------------------------------


def global_state() -> list[bytes]:
    """The states of all global generators, Python's, numpy's and torch's."""
    return [
        repr(random.getstate()).encode(),
        np.random.get_state()[1].tobytes() + bytes([np.random.get_state()[2] % 256]),
        torch.get_rng_state().numpy().tobytes(),
    ]


def test_a_fit_with_a_seed_leaves_the_global_generators_alone() -> None:
    before = global_state()
    run(seed=1, callbacks=EarlyStopping(restore_best_weights=True))
    assert global_state() == before


@pytest.mark.parametrize("method", ["evaluate", "predict", "train_on_batch", "test_on_batch"])
def test_other_methods_of_a_built_model_leave_the_global_generators_alone(method: str) -> None:
    model = Model(Linear(6), Tanh(), Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    model.build((2,))
    x, y = data()
    before = global_state()
    inputs = (x,) if method == "predict" else (x, y)
    getattr(model, method)(*inputs, **({} if "batch" in method else {"verbose": 0}))
    assert global_state() == before


def test_a_fit_without_a_seed_draws_one_and_no_more() -> None:
    states = []
    for epochs in (1, 4):
        set_seed(9)
        before = global_state()
        run(epochs=epochs, optimizer="Adam", shuffle=epochs == 4)
        states.append(global_state())
    assert states[0] == states[1], "whatever is trained, as much is drawn"
    assert states[0][:2] == before[:2], "Python's and numpy's are left alone"
    assert states[0][2] != before[2]


def test_set_seed_seeds_all_generators() -> None:
    drawn = []
    for seed in (7, 7, 8):
        set_seed(seed)
        drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(3)], ids=repr)
def test_seeds_are_whole_numbers_of_any_kind(seed) -> None:
    set_seed(seed)
    assert same(run(seed=seed, epochs=1), run(seed=int(seed), epochs=1))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", True], ids=repr)
@pytest.mark.parametrize("who", ["set_seed", "fit"])
def test_what_is_no_seed_is_refused(who: str, seed) -> None:
    with pytest.raises(ValueError, match=rf"{who}\(seed\) expects an integer from 0") as caught:
        set_seed(seed) if who == "set_seed" else run(seed=seed)
    assert repr(seed) in str(caught.value)
