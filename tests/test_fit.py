"""What fit does to a model: numbers that a person can check by hand, and nothing left behind."""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kerasish import Model, Module, Parameter, Sequential, datasets
from kerasish.callbacks import Callback, EarlyStopping, History
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.losses import MSE
from kerasish.optimizers import SGD, Adam


def compiled(optimizer="sgd", metrics=None, loss="mse") -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    return model


def data(count: int = 7) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(count))
    return x, x.prod(1, keepdim=True).sign()


def weights(model: Model) -> dict[str, Tensor]:
    return model.module.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Batches(Callback):
    """Keeps the logs of every batch."""

    def __init__(self) -> None:
        self.logs: list[dict] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.logs.append(dict(logs))


# ---- what is logged -----------------------------------------------------------------------------


def test_the_logs_of_an_epoch_are_means_over_all_samples_with_a_short_last_batch() -> None:
    (x, y), model = data(7), compiled(SGD(0.0), ["accuracy", "mae"])
    history = model.fit(x, y, batch_size=3, epochs=2, verbose=0, validation_data=data(5))
    for prefix, (inputs, targets) in (("", (x, y)), ("val_", data(5))):
        error = np.abs(model.predict(inputs, verbose=0) - targets.numpy())
        expected = {"loss": np.mean(error**2), "mae": error.mean(), "accuracy": np.mean(error < 1)}
        for name, value in expected.items():
            assert history.history[prefix + name] == pytest.approx([value] * 2, rel=1e-6)


def test_the_logs_of_a_batch_are_running_means_since_the_epoch_began() -> None:
    (x, y), model, batches = data(7), compiled(SGD(0.0), ["accuracy"]), Batches()
    model.fit(x, y, batch_size=3, epochs=2, shuffle=False, verbose=0, callbacks=batches)
    error = (model.predict(x, verbose=0) - y.numpy())[:, 0]
    seen = [3, 6, 7] * 2
    assert [logs["loss"] for logs in batches.logs] == pytest.approx(
        [np.mean(error[:n] ** 2) for n in seen], rel=1e-6
    )
    assert [logs["accuracy"] for logs in batches.logs] == pytest.approx(
        [np.mean(np.abs(error[:n]) < 1) for n in seen]
    )


def test_the_loss_of_a_batch_is_the_one_before_its_update() -> None:
    (x, y), model = data(), compiled(SGD(0.1))
    model.build((2,))
    before = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, batch_size=7, verbose=0)
    assert history.history["loss"] == pytest.approx([before], rel=1e-6)


def test_validation_is_what_evaluate_gives_after_the_epoch() -> None:
    (x, y), model = data(), compiled(SGD(0.1), ["accuracy"])
    history = model.fit(x, y, batch_size=2, epochs=3, verbose=0, validation_data=data(5))
    after = model.evaluate(*data(5), batch_size=2, verbose=0, return_dict=True)
    assert {f"val_{name}": value for name, value in after.items()} == {
        name: values[-1] for name, values in history.history.items() if name.startswith("val_")
    }


def test_history_has_one_value_an_epoch_for_each_name() -> None:
    model = compiled("sgd", ["accuracy"])
    history = model.fit(*data(), epochs=4, verbose=0, validation_split=0.3)
    assert isinstance(history, History) and model.history is history
    assert history.epoch == [0, 1, 2, 3]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 4 for values in history.history.values())


def test_each_fit_gives_a_history_of_its_own() -> None:
    model, stopper = compiled(), EarlyStopping("loss", patience=9)
    first = model.fit(*data(), epochs=3, verbose=0, callbacks=stopper)
    second = model.fit(*data(), epochs=2, verbose=0, callbacks=stopper)
    assert first is not second and model.history is second
    assert (first.epoch, second.epoch) == ([0, 1, 2], [0, 1])


@pytest.mark.parametrize(
    ("initial_epoch", "epochs", "numbers"),
    [(0, 3, [0, 1, 2]), (2, 5, [2, 3, 4]), (3, 3, []), (5, 3, []), (0, 0, [])],
    ids=lambda value: str(value),
)
def test_epochs_is_the_last_number_and_not_a_count(initial_epoch, epochs, numbers) -> None:
    model = compiled()
    history = model.fit(*data(), epochs=epochs, initial_epoch=initial_epoch, verbose=0)
    assert history.epoch == numbers
    assert len(history.history.get("loss", ())) == len(numbers)
    assert model.optimizer.iterations == len(numbers)


def test_fit_of_no_epochs_builds_and_trains_nothing() -> None:
    model, twin = compiled(), compiled()
    history = model.fit(*data(), epochs=0, verbose=0, seed=4)
    twin.fit(*data(), epochs=0, verbose=0, seed=4)
    assert model.built and not history.history
    assert same(weights(model), weights(twin))


# ---- what is trained ----------------------------------------------------------------------------


def torch_twin(model: Model) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Tanh())
    net.load_state_dict(weights(model))
    return net


@pytest.mark.parametrize(
    ("optimizer", "twin"),
    [
        (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
        (lambda: SGD(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (lambda: Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    ],
    ids=["SGD", "momentum", "Adam"],
)
def test_fit_trains_as_a_loop_in_torch_does(optimizer, twin) -> None:
    (x, y), model = data(10), compiled(optimizer())
    model.build((2,))
    net = torch_twin(model)
    steps = twin(net.parameters())
    for _ in range(3):
        for rows in range(0, 10, 4):
            steps.zero_grad()
            nn.functional.mse_loss(net(x[rows : rows + 4]), y[rows : rows + 4]).backward()
            steps.step()
    model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for name, expected in net.state_dict().items():
        torch.testing.assert_close(weights(model)[name], expected, rtol=1e-4, atol=1e-5)


def test_a_small_net_learns_the_disc() -> None:
    (x, y), test = datasets.disc(train=500, test=200, seed=0)
    model = Model(Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=Adam(0.01), loss="mse", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=20, epochs=30, verbose=0, seed=0)
    assert history.history["loss"][-1] < history.history["loss"][0] / 3
    assert model.evaluate(*test, verbose=0, return_dict=True)["accuracy"] > 0.9


class Sees(Model):
    """Keeps the samples of each batch, as the training step gets them."""

    def train_step(self, x, y, sample_weight=None):
        self.__dict__.setdefault("seen", []).append((x.flatten().tolist(), y.flatten().tolist()))
        return super().train_step(x, y, sample_weight)


def seen_in(epochs: int, **arguments) -> list[list[float]]:
    x = torch.arange(10.0).view(10, 1)
    model = Sees(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, -x, batch_size=4, epochs=epochs, verbose=0, **arguments)
    assert all(inputs == [-target for target in targets] for inputs, targets in model.seen)
    assert [len(inputs) for inputs, _ in model.seen] == [4, 4, 2] * epochs
    flat = [number for inputs, _ in model.seen for number in inputs]
    return [flat[start : start + 10] for start in range(0, 10 * epochs, 10)]


def test_each_epoch_sees_each_sample_once_with_its_target() -> None:
    orders = seen_in(epochs=3, seed=0)
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3, "each epoch has an order of its own"


def test_without_shuffle_samples_come_as_they_lie() -> None:
    assert seen_in(epochs=2, shuffle=False) == [list(range(10))] * 2


def test_the_samples_themselves_are_never_changed() -> None:
    x, y = data()
    model = Model(ReLU(), Tanh(), Linear(3), ReLU(), Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.1), loss="mse")
    before = x.clone(), y.clone()
    model.fit(x, y, epochs=2, shuffle=False, verbose=0, validation_data=(x, y))
    model.predict(x, verbose=0)
    assert torch.equal(x, before[0]) and torch.equal(y, before[1])


def test_train_step_may_be_overridden() -> None:
    class Twice(Model):
        """Trains on each batch twice, and reports a loss of its own."""

        def train_step(self, x, y, sample_weight=None):
            super().train_step(x, y, sample_weight)
            loss, y_pred = super().train_step(x, y, sample_weight)
            return loss * 0 + 7, y_pred

    model = Twice(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    history = model.fit(*data(), batch_size=2, epochs=2, verbose=0)
    assert history.history["loss"] == [7.0, 7.0]
    assert model.optimizer.iterations == 16


def test_freezing_takes_effect_between_fits() -> None:
    model = compiled(SGD(0.1, momentum=0.9))
    model.fit(*data(), verbose=0)
    frozen = model.module[0]
    for parameter in frozen.parameters():
        parameter.trainable = False
    before = weights(model)
    model.fit(*data(), verbose=0)
    after = weights(model)
    assert all(torch.equal(before[name], after[name]) for name in ("0.weight", "0.bias"))
    assert not torch.equal(before["2.weight"], after["2.weight"])


# ---- the device is never waited for -------------------------------------------------------------


READS = {f"aten::{name}" for name in
         ("item", "_local_scalar_dense", "is_nonzero", "equal", "nonzero")}


def in_fused_kernel(event) -> bool:
    """An optimizer's kernel takes the step from the host's memory on the CPU, elsewhere there."""
    while event.cpu_parent is not None:
        event = event.cpu_parent
        if event.name.startswith("aten::_fused_"):
            return True
    return False


@pytest.mark.filterwarnings("ignore")  # the profiler's own
def test_no_number_is_read_from_the_device_inside_the_batch_loop(monkeypatch) -> None:
    copies = []
    for name in ("numpy", "tolist", "cpu", "__array__"):
        before = getattr(Tensor, name)
        monkeypatch.setattr(
            Tensor, name, lambda *args, _before=before: copies.append(args) or _before(*args)
        )

    class Watched(Model):
        """Looks at everything from the first step to the last one of the fit."""

        step_number = 0

        def train_step(self, x, y, sample_weight=None):
            if self.step_number == 0:
                copies.clear()
                host = torch.profiler.ProfilerActivity.CPU
                self.watch = torch.profiler.profile(activities=[host])
                self.watch.start()
            answer = super().train_step(x, y, sample_weight)
            self.step_number += 1
            if self.step_number == 8:
                self.watch.stop()
                self.copied = list(copies)
            return answer

    model = Watched(Linear(3), Dropout(0.5), Tanh(), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=Adam(0.01), loss="mse", metrics=["accuracy", "mae", "mse"])
    model.fit(*data(16), batch_size=2, verbose=0)
    operations = {event.name for event in model.watch.events() if not in_fused_kernel(event)}
    assert "aten::addmm" in operations, "the profiler sees the step"
    assert not operations & READS and not model.copied


# ---- nothing that outlives a step belongs to it -------------------------------------------------


def tensors_of(thing, path: str = "model", seen: set[int] | None = None):
    """All tensors that can be reached from an object, with the way to them."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        yield path, thing
        return
    if isinstance(thing, dict):
        parts = [(f"{path}[{key!r}]", part) for key, part in thing.items()]
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = [(f"{path}[{index}]", part) for index, part in enumerate(thing)]
    elif type(thing).__module__.startswith(("kerasish", "tests")):
        slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
        names = [*getattr(thing, "__dict__", ()), *(name for name in slots if hasattr(thing, name))]
        parts = [(f"{path}.{name}", getattr(thing, name)) for name in names]
    else:
        return
    for where, part in parts:
        yield from tensors_of(part, where, seen)


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam()], ids=["momentum", "Adam"])
@pytest.mark.parametrize("how", ["fit", "fit within inference mode", "train_on_batch"])
def test_nothing_that_outlives_a_step_is_an_inference_tensor(optimizer, how: str) -> None:
    model = Model(Linear(3), Dropout(0.5), Linear(1), Tanh(), device="cpu")
    model.compile(type(optimizer)(**optimizer.get_config()), "mse", metrics=["accuracy", "mae"])
    x, y = data()
    stopper = EarlyStopping(restore_best_weights=True)
    if how == "train_on_batch":
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
    else:
        with torch.inference_mode(how != "fit"):
            model.evaluate(x, y, verbose=0)
            model.fit(x, y, batch_size=2, epochs=2, verbose=0, callbacks=stopper,
                      validation_data=(x, y, torch.ones(7)))
    found = dict(tensors_of([model, stopper]))
    assert any("optimizer" in path for path in found), "the walk goes deep"
    assert [path for path, tensor in found.items() if tensor.is_inference()] == []


def test_a_trained_module_works_by_hand_afterwards() -> None:
    model = compiled(SGD(0.1))
    model.fit(*data(), verbose=0)
    x, y = data()
    y_pred = model.module(x)
    dx = model.module.backward(y_pred - y)
    model.optimizer.step()
    assert dx.shape == x.shape and not dx.is_inference()
    model.module.zero_grad()


def test_gradients_are_zero_after_fit_and_between_its_steps() -> None:
    class Grads(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            assert all(not p.grad.any() for p in self.model.module.parameters())

    model = compiled()
    model.fit(*data(), batch_size=2, verbose=0, callbacks=Grads())
    assert all(not parameter.grad.any() for parameter in model.module.parameters())


def test_gradients_left_by_the_user_are_not_trained_on() -> None:
    one, other = compiled(), compiled()
    for model in (one, other):
        model.fit(*data(), epochs=0, verbose=0, seed=0)
    for parameter in one.module.parameters():
        parameter.grad += 5.0
    for model in (one, other):
        model.fit(*data(), verbose=0, seed=1)
    assert same(weights(one), weights(other))


class Fragile(Tanh):
    """A Tanh whose backward fails when it is told to."""

    fails = False

    def backward(self, dy):
        if self.fails:
            raise ArithmeticError("backward failed")
        return super().backward(dy)


@pytest.mark.parametrize("first", ["fit", "train_on_batch"])
@pytest.mark.parametrize("then", ["fit", "train_on_batch"])
def test_a_step_that_raised_leaves_nothing_for_the_next_one(first: str, then: str) -> None:
    def run(method: str) -> None:
        if method == "fit":
            model.fit(*data(), verbose=0, seed=1)
        else:
            model.train_on_batch(*data())

    after = {}
    for fails in (False, True):
        fragile = Fragile()
        model = Model(Linear(3), fragile, Linear(1), device="cpu")
        model.compile(optimizer=SGD(0.1), loss="mse")
        model.fit(*data(), epochs=0, verbose=0, seed=0)
        if fails:
            fragile.fails = True
            with pytest.raises(ArithmeticError, match="backward failed"):
                run(first)
            fragile.fails = False
        run(then)
        after[fails] = weights(model)
    assert same(after[False], after[True])


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_a_step_that_raised_leaves_nothing_saved(method: str) -> None:
    class Fails(MSE):
        def backward(self):
            raise ArithmeticError("backward failed")

    model = compiled(loss=Fails())
    with pytest.raises(ArithmeticError, match="backward failed"):
        getattr(model, method)(*data())
    assert not any(part._saved for part in [model.loss, *model.module.modules()])


def test_an_epoch_that_raised_leaves_nothing_in_the_logs_of_the_next_one() -> None:
    class Fails(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            if batch == 2:
                raise ArithmeticError("no")

    model = compiled(SGD(0.0), ["accuracy", "mae"])
    expected = model.fit(*data(), epochs=1, verbose=0).history
    with pytest.raises(ArithmeticError, match="no"):
        model.fit(*data(), batch_size=1, verbose=0, callbacks=Fails())
    again = model.fit(*data(), epochs=1, verbose=0).history
    assert {name: pytest.approx(values) for name, values in expected.items()} == again


def test_the_error_of_a_module_names_its_place() -> None:
    fragile = Fragile()
    fragile.fails = True
    model = Model(Linear(3), fragile, Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    with pytest.raises(ArithmeticError) as caught:
        model.fit(*data(), verbose=0)
    assert "in layer 1 of Sequential, Fragile()" in caught.value.__notes__


class Leaky(Module):
    """Saves in forward what backward never takes back."""

    def forward(self, x):
        self.save_for_backward(x)
        return x * 2

    def backward(self, dy):
        return dy * 2


def test_a_module_whose_backward_leaves_its_saved_tensors_is_named() -> None:
    model = Model(Linear(3), Sequential(Leaky()), Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    with pytest.raises(RuntimeError, match=r"Leaky\(\) at '1\.0' expects one backward") as caught:
        model.fit(*data(), batch_size=2, epochs=5, verbose=0)
    assert "saved_tensors() once in backward" in str(caught.value)
    assert model.optimizer.iterations == 1, "seen in the first step"


def test_a_nan_loss_does_not_end_training() -> None:
    x, y = data()
    x[0] = float("nan")
    history = compiled().fit(x, y, batch_size=2, epochs=3, verbose=0, validation_data=data(4))
    assert history.epoch == [0, 1, 2]
    assert np.isnan(history.history["loss"]).all() and np.isnan(history.history["val_loss"]).all()


# ---- one batch at a time ------------------------------------------------------------------------


def test_train_on_batch_is_one_step_of_fit() -> None:
    one, other = compiled(SGD(0.1), ["accuracy"]), compiled(SGD(0.1), ["accuracy"])
    for model in (one, other):
        model.fit(*data(), epochs=0, verbose=0, seed=0)
    history = one.fit(*data(), batch_size=7, shuffle=False, verbose=0)
    answer = other.train_on_batch(*data(), return_dict=True)
    assert same(weights(one), weights(other)) and other.optimizer.iterations == 1
    assert {name: [value] for name, value in answer.items()} == history.history


def test_train_on_batch_forgets_the_batch_before() -> None:
    model = compiled(SGD(0.0))
    first = [model.train_on_batch(*data(count)) for count in (7, 3, 7)]
    assert first[0] == first[2] != first[1]


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_methods_of_one_batch_answer_as_evaluate_does(method: str) -> None:
    for metrics, kind in ((None, float), (["accuracy"], list)):
        model = compiled(SGD(0.0), metrics)
        model.train_on_batch(*data())
        expected = model.evaluate(*data(), verbose=0)
        answer = getattr(model, method)(*data())
        assert type(answer) is kind and answer == pytest.approx(expected)
        named = getattr(model, method)(*data(), return_dict=True)
        assert list(named) == model.metrics_names
        assert list(named.values()) == pytest.approx(np.atleast_1d(expected))


def test_methods_of_one_batch_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = compiled()
    model.train_on_batch(*data())
    model.test_on_batch(*data())
    model.predict_on_batch(data()[0])
    assert capsys.readouterr() == ("", "")


def test_test_on_batch_and_predict_on_batch_take_more_than_32_samples_as_one_batch() -> None:
    sizes = []

    class Counts(Tanh):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    model = Model(Counts(), Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    x, y = data(50)
    assert model.predict_on_batch(x).shape == (50, 1)
    model.test_on_batch(x, y)
    model.train_on_batch(x, y)
    assert sizes == [50, 50, 50]


# ---- weights outlive compile --------------------------------------------------------------------


def test_compiling_again_keeps_the_weights_and_starts_the_optimizer_anew() -> None:
    model = compiled(Adam(0.1))
    model.fit(*data(), verbose=0)
    before = weights(model)
    model.compile(optimizer=Adam(0.1), loss="mae", metrics=["mae"])
    assert same(before, weights(model)) and model.optimizer.iterations == 0
    history = model.fit(*data(), verbose=0)
    assert list(history.history) == ["loss", "mae"] and not same(before, weights(model))


def test_compiling_again_with_the_same_optimizer_goes_on() -> None:
    optimizer = Adam(0.1)
    model = compiled(optimizer)
    model.fit(*data(), verbose=0)
    model.compile(optimizer=optimizer, loss="mae")
    model.fit(*data(), verbose=0)
    assert model.optimizer.iterations == 2


def test_a_module_that_is_built_already_keeps_its_weights() -> None:
    built = Sequential(Linear(3), Tanh(), Linear(1))
    built.build((2,))
    before = built.state_dict()
    model = Model(built, device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    model.fit(*data(), epochs=0, verbose=0, seed=5)
    assert model.module is built and same(before, weights(model))


def test_weights_loaded_before_fit_are_trained_on() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Tanh())
    model = compiled(SGD(0.0))
    model.build((2,))
    model.module.load_state_dict(net.state_dict())
    model.fit(*data(), verbose=0)
    assert same(weights(model), dict(net.state_dict()))


def test_parameters_stay_views_when_a_hook_assigns_them() -> None:
    class Assigns(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            for parameter in self.model.module.parameters():
                parameter.data = torch.full(parameter.shape, 0.5)

    model = compiled(SGD(0.1))
    model.fit(*data(), verbose=0, callbacks=Assigns())
    assert any((value != 0.5).any() for value in weights(model).values()), "training goes on"


# ---- several models -----------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_models_may_share_a_module(momentum: float) -> None:
    trunk = Linear(3)
    one, other = (Model(trunk, Tanh(), Linear(1), device="cpu") for _ in range(2))
    for model in (one, other):
        model.compile(optimizer=SGD(0.1, momentum=momentum), loss="mse")
        model.fit(*data(), epochs=0, verbose=0)
    for trained, idle in ((one, other), (other, one), (one, other)):
        before = weights(idle)
        trained.fit(*data(), verbose=0)
        after = weights(idle)
        assert same({k: after[k] for k in after if k[0] == "0"},
                    {k: weights(trained)[k] for k in after if k[0] == "0"})
        assert not torch.equal(before["0.weight"], after["0.weight"])
        assert torch.equal(before["2.weight"], after["2.weight"])


@pytest.mark.parametrize("built", [False, True], ids=["not built", "built"])
def test_an_optimizer_trains_one_model_alone(built: bool) -> None:
    optimizer = SGD(0.1)
    one, other = (Model(Linear(1), device="cpu") for _ in range(2))
    if built:
        one.build((2,)), other.build((2,))
    with pytest.raises(ValueError, match="an optimizer of its own"):
        one.compile(optimizer=optimizer, loss="mse")
        other.compile(optimizer=optimizer, loss="mse")
        one.fit(*data(), verbose=0)
        other.fit(*data(), verbose=0)


@pytest.mark.parametrize("fitted", [False, True], ids=["not built", "fitted"])
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)], ids=repr)
def test_a_copy_of_a_model_is_trained_on_its_own_and_as_the_model_would_be(
    fitted: bool, optimizer
) -> None:
    model = compiled(copy.deepcopy(optimizer), ["accuracy"])
    if fitted:
        model.fit(*data(), epochs=2, verbose=0, seed=0)
    twin, before = copy.deepcopy(model), weights(model)
    copied = twin.fit(*data(), epochs=2, verbose=0, seed=1)
    assert same(before, weights(model)), "the model itself is left alone"
    expected = model.fit(*data(), epochs=2, verbose=0, seed=1)
    assert copied.history == expected.history and same(weights(twin), weights(model))


def test_a_second_fit_of_a_model_that_is_being_fitted_is_refused() -> None:
    class Again(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            self.model.fit(*data(), verbose=0)

    model = compiled()
    with pytest.raises(RuntimeError, match="the only fit of its model"):
        model.fit(*data(), verbose=0, callbacks=Again())
    assert model.fit(*data(), verbose=0).epoch == [0], "and the model can be fitted afterwards"


def test_a_fit_in_another_thread_of_a_model_that_is_being_fitted_is_refused() -> None:
    errors = []

    class Again(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            thread = threading.Thread(target=self.fit)
            thread.start()
            thread.join(30)

        def fit(self) -> None:
            try:
                self.model.fit(*data(), verbose=0)
            except RuntimeError as error:
                errors.append(str(error))

    assert compiled().fit(*data(), epochs=2, verbose=0, callbacks=Again()).epoch == [0, 1]
    assert len(errors) == 2 and "the only fit of its model" in errors[0]


@pytest.mark.parametrize("hook", ["on_backward_end", "on_train_batch_end", "on_epoch_begin"])
def test_train_on_batch_in_a_hook_is_refused_or_harmless(hook: str) -> None:
    class Steps(Callback):
        backwards, refused = 0, False

        def step(self, *_) -> None:
            try:
                self.model.train_on_batch(*data())
            except RuntimeError:
                self.refused = True

    def count(self, batch) -> None:
        self.backwards += 1
        gradients = [p.grad.clone() for p in self.model.module.parameters()]
        if hook == "on_backward_end":
            self.step()
        after = [p.grad for p in self.model.module.parameters()]
        assert all(torch.equal(*pair) for pair in zip(gradients, after, strict=True))

    kind = type("Both", (Steps,), {hook: Steps.step, "on_backward_end": count})
    steps = kind()
    history = compiled().fit(*data(), batch_size=2, epochs=2, verbose=0, callbacks=steps)
    assert steps.backwards >= 8 and history.epoch == [0, 1]


def test_another_model_may_be_fitted_in_a_hook() -> None:
    class Inner(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            inner.fit(*data(), verbose=0, seed=3)

    inner = compiled()
    runs = []
    for callback in (None, Inner()):
        model = compiled()
        history = model.fit(*data(), epochs=2, verbose=0, seed=1, callbacks=callback)
        runs.append((history.history, weights(model)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])


# ---- how a model is made ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "paths"),
    [
        (lambda: Model(Linear(1)), ["weight", "bias"]),
        (lambda: Model(Sequential(Linear(1))), ["0.weight", "0.bias"]),
        (lambda: Model([Linear(1), Tanh()]), ["0.weight", "0.bias"]),
        (lambda: Model(Tanh(), Linear(1)), ["1.weight", "1.bias"]),
        (lambda: Model(Tanh(), [Linear(1)]), ["1.weight", "1.bias"]),
    ],
    ids=["one", "a Sequential", "a list", "several", "mixed"],
)
def test_a_model_takes_one_module_or_several(make, paths: list[str]) -> None:
    model = make()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(*data(), verbose=0)
    assert sorted(weights(model)) == sorted(paths)


@pytest.mark.parametrize("modules", [(Linear,), (Linear(1), Tanh), (3,), ("linear",)], ids=str)
def test_a_model_of_something_else_is_refused(modules) -> None:
    with pytest.raises(TypeError, match="expects modules; got"):
        Model(*modules)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")], ids=["name", "torch.device"])
def test_a_model_lives_on_the_device_that_is_asked_for(device) -> None:
    model = Model(Linear(1), device=device)
    model.compile(optimizer="sgd", loss="mse")
    model.fit(*data(), verbose=0)
    assert model.device == torch.device("cpu")
    assert {p.data.device.type for p in model.module.parameters()} == {"cpu"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_auto_is_the_cpu_where_there_is_no_other_device() -> None:
    assert Model(Linear(1)).device == torch.device("cpu")


@pytest.mark.cuda
def test_fit_on_cuda_starts_from_the_same_values_and_follows_the_cpu() -> None:
    histories = {}
    for device in ("cpu", "cuda"):
        model = Model(Linear(3), Tanh(), Linear(1), Tanh(), device=device)
        model.compile(optimizer=Adam(0.01), loss="mse", metrics=["accuracy"])
        histories[device] = model.fit(*data(20), epochs=3, verbose=0, seed=0).history
        assert model.predict(data()[0], verbose=0).shape == (7, 1)
    for name, values in histories["cpu"].items():
        assert histories["cuda"][name] == pytest.approx(values, rel=1e-3)


def test_a_parameter_of_a_users_module_is_trained() -> None:
    class Scale(Module):
        def build(self, shape):
            self.weight = Parameter(torch.ones(shape))
            return shape

        def forward(self, x):
            self.save_for_backward(x)
            return x * self.weight.data

        def backward(self, dy):
            (x,) = self.saved_tensors()
            self.weight.grad += (dy * x).sum(0)
            return dy * self.weight.data

    model = Model(Scale(), device="cpu")
    model.compile(optimizer=SGD(0.5), loss="mse")
    x = data(40)[0]
    model.fit(x, 3 * x, epochs=40, verbose=0)
    assert weights(model)["weight"].tolist() == pytest.approx([3.0, 3.0], abs=1e-3)
