"""Histograms and norms: known answers, of one step, that no other step pays for."""

import copy
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from kerasish import Model, Sequential, set_seed
from kerasish.callbacks import Callback, TensorBoard
from kerasish.callbacks.tensorboard import buckets, histograms, one_step, runs
from kerasish.callbacks.tensorboard.buckets import BUCKETS, counted, square_sums
from kerasish.containers import Add, Graph, Input, Residual
from kerasish.layers import BatchNorm1d, Dropout, Flatten, Linear, ReLU, Tanh
from kerasish.module import Module
from kerasish.optimizers import SGD, Adam


def net(optimizer=None, *modules: Module) -> Model:
    model = Model(*(modules or (Linear(4), Tanh(), Linear(1))), device="cpu")
    model.compile(optimizer or SGD(0.1), "mse")
    return model


def data(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * count).view(count, 2)
    return x, x.sum(1, keepdim=True).square()


def fit(model: Model, *callbacks: Callback, **arguments):
    options = {"batch_size": 4, "epochs": 2, "verbose": 0, "seed": 1} | arguments
    return model.fit(*data(), callbacks=list(callbacks), **options)


def read(folder: Path) -> dict[str, dict[int, np.ndarray]]:
    """Scalars and histograms of the run train: tag → step → the number, or the buckets."""
    found: dict[str, dict[int, np.ndarray]] = {}
    (path,) = (folder / "train").iterdir()
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name not in ("scalars", "histograms"):
                continue
            steps = found.setdefault(value.tag, {})
            assert event.step not in steps, f"{value.tag} has a step twice"
            steps[event.step] = make_ndarray(value.tensor)
    return found


def agrees(found: np.ndarray, values: torch.Tensor) -> bool:
    """Whether buckets hold these values; what lies on a limit may be on either side of it."""
    flat = np.sort(values.double().flatten().numpy())
    low, high = flat[0], flat[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    trifle, limits = 1e-5 * (high - low), found[:, 1].astype(np.float64)
    below, counts = np.searchsorted(flat, limits - trifle), np.cumsum(found[:, 2])
    return bool(
        found.shape == (BUCKETS, 3) and counts[-1] == len(flat)
        and np.allclose([found[0, 0], limits[-1]], [low, high], rtol=1e-6)
        and np.array_equal(found[1:, 0], found[:-1, 1])
        and (below <= counts).all() and (counts <= np.searchsorted(flat, limits + trifle)).all()
    )


# ---- counting -----------------------------------------------------------------------------------


def alone(values: np.ndarray) -> tuple[np.ndarray, int]:
    """The buckets of some values, and how many are in none."""
    (buckets,), (not_finite,) = counted(values[None])
    return buckets, not_finite


def test_buckets_of_known_values() -> None:
    buckets, not_finite = alone(np.arange(61.0).astype(np.float32))
    np.testing.assert_allclose(buckets[:, 0], np.arange(0, 60, 2), rtol=1e-6)
    np.testing.assert_allclose(buckets[:, 1], np.arange(2, 61, 2), rtol=1e-6)
    assert buckets[:, 2].tolist() == [3] + [2] * 29 and not_finite == 0


def test_equal_values_lie_in_the_middle_of_a_span_of_one() -> None:
    for value in (0.0, 3.0, -1e9, 1e30):
        buckets, _ = alone(np.full(7, value, np.float32))
        assert buckets[:, 2].sum() == 7
        if abs(value) < 1e6:
            assert buckets[14, 2] == 7 or buckets[15, 2] == 7
            assert (buckets[0, 0], buckets[-1, 1]) == (value - 0.5, value + 0.5)


@pytest.mark.parametrize("size", [1, 2, 300, buckets._BLOCK + 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.bool_])
def test_one_pass_over_all_is_a_pass_over_each(dtype: type, size: int) -> None:
    noise = np.random.default_rng(0)
    moments = (noise.normal(size=(4, size)) * [[10], [1e-3], [0], [1]]).astype(dtype)
    together, _ = counted(moments)
    for values, own in zip(moments, together, strict=True):
        assert alone(values)[0].tobytes() == own.tobytes()
        assert agrees(own, torch.from_numpy(values.astype(np.float64)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_counted_out(bad: float) -> None:
    good = np.arange(10, dtype=np.float32)
    mixed = np.where(good < 8, good, bad).astype(np.float32)
    nothing = np.full(10, bad, np.float32)
    found, not_finite = counted(np.stack([good, nothing, mixed, good]))
    assert not_finite.tolist() == [0, 10, 2, 0]
    assert found[:, :, 2].sum(1).tolist() == [10, 0, 8, 10]
    assert found[0].tobytes() == found[3].tobytes() == alone(good)[0].tobytes()
    assert found[2].tobytes() == alone(good[:8])[0].tobytes() and not found[1].any()
    assert not alone(good[:0])[0].any() and alone(good[:0])[1] == 0


@pytest.mark.parametrize("extreme", [1e-45, 1e-38, 3e38, -3e38])
def test_values_at_the_ends_of_what_there_is_are_no_obstacle(extreme: float) -> None:
    for values in (np.array([0.0, extreme], np.float32), np.array([-1e308, 1e308, 5e-324])):
        found, not_finite = alone(values)
        assert found[:, 2].sum() + not_finite == len(values) and np.isfinite(found).all()


def test_sums_of_squares() -> None:
    moments = np.array([[3.0, 4.0], [1e200, 0.0], [math.nan, 1.0]])
    assert square_sums(moments)[:2].tolist() == [25.0, math.inf]
    assert math.isnan(square_sums(moments)[2])
    assert square_sums(np.array([[1e30, 1e30]], np.float32)) == pytest.approx(2e60)


# ---- what is written ----------------------------------------------------------------------------


def test_every_n_epochs_across_fits(tmp_path: Path) -> None:
    model, board = net(), TensorBoard(tmp_path, histogram_freq=3)
    for _ in range(4):
        fit(model, board)
    found = read(tmp_path)
    names = {f"{path}{kind}/histogram" for path in ("0.weight", "0.bias", "2.weight", "2.bias")
             for kind in ("", "/gradient")}
    names |= {f"{path}/activation/histogram" for path in "012"}
    names |= {f"{path}/{kind}" for path in "02"
              for kind in ("gradient_norm", "update_ratio", "learning_rate")}
    assert found.keys() == names | {"epoch_loss", "epoch_learning_rate"}
    assert all(list(found[name]) == [0, 3, 6] for name in names)


class Keeps(Callback):
    """Keeps what the first step of the first epoch was, and the weights at its end."""

    def on_backward_end(self, batch) -> None:
        if not hasattr(self, "gradients"):
            self.gradients = self._all("grad")
            self.before = self._all("data")

    def on_train_batch_end(self, batch, logs=None) -> None:
        if not hasattr(self, "after"):
            self.after = self._all("data")

    def on_epoch_end(self, epoch, logs=None) -> None:
        if not hasattr(self, "weights"):
            self.weights = self._all("data")

    def _all(self, name: str) -> dict[str, torch.Tensor]:
        return {path: getattr(each, name).clone()
                for path, each in self.model.module.named_parameters()}


@pytest.mark.parametrize("optimizer", [
    lambda: SGD(0.1), lambda: Adam(0.01, weight_decay=0.1), lambda: SGD(0.5, clipnorm=1e-3),
    lambda: SGD(0.5, clipvalue=1e-3), lambda: SGD(0.5, global_clipnorm=1e-3),
], ids=["SGD", "AdamW", "clipnorm", "clipvalue", "global_clipnorm"])  # fmt: skip
def test_they_are_those_of_the_step(optimizer, tmp_path: Path) -> None:
    keeps, model = Keeps(), net(optimizer())
    fit(model, keeps, TensorBoard(tmp_path, histogram_freq=1))
    found = {tag: steps.get(0) for tag, steps in read(tmp_path).items()}
    for path, gradient in keeps.gradients.items():
        assert agrees(found[f"{path}/gradient/histogram"], gradient)
        assert agrees(found[f"{path}/histogram"], keeps.weights[path])
    for module in "02":
        own = [path for path in keeps.gradients if path.startswith(module)]
        gradient, before, moved = (
            torch.cat([each[path].flatten() for path in own]).norm().item()
            for each in (keeps.gradients, keeps.before,
                         {path: keeps.after[path] - keeps.before[path] for path in own})
        )
        assert found[f"{module}/gradient_norm"] == pytest.approx(gradient, rel=1e-5)
        assert found[f"{module}/update_ratio"] == pytest.approx(moved / before, rel=1e-4)


def test_a_ratio_and_rates_worked_by_hand(tmp_path: Path) -> None:
    linear = Linear(2, 1, bias=False, weight_initializer="ones")
    model = net(SGD(0.25), linear)
    linear.learning_rate_multiplier = 0.5
    x = torch.tensor([[3.0, 4.0]])
    model.fit(x, torch.tensor([[6.5]]), verbose=0, callbacks=TensorBoard(tmp_path, 1))
    found = {tag: steps[0] for tag, steps in read(tmp_path).items()}
    # y - t = 0.5, so dL/dw = 2 · 0.5 · (3, 4), a vector of norm 5
    assert found["gradient_norm"] == pytest.approx(5.0)
    assert found["learning_rate"] == pytest.approx(0.125)
    assert found["update_ratio"] == pytest.approx(0.125 * 5.0 / math.sqrt(2))
    assert agrees(found["weight/gradient/histogram"], torch.tensor([3.0, 4.0]))
    assert found["activation/histogram"][:, 2].sum() == 1


def test_gradients_of_accumulated_batches_are_means_over_the_samples(tmp_path: Path) -> None:
    for size, name, count in ((12, "whole", None), (4, "parts", 3), (4, "left over", 5)):
        model = net(SGD(0.1, gradient_accumulation_steps=count))
        fit(model, TensorBoard(tmp_path / name, 1), batch_size=size, shuffle=False, epochs=1)
    whole, parts, left_over = (read(tmp_path / name) for name in ("whole", "parts", "left over"))
    for tag in ("0/gradient_norm", "2/update_ratio"):
        assert parts[tag][0] == pytest.approx(whole[tag][0], rel=1e-5)
        assert left_over[tag][0] == pytest.approx(whole[tag][0], rel=1e-5)
    assert whole["1/activation/histogram"][0][:, 2].sum() == 48
    assert parts["1/activation/histogram"][0][:, 2].sum() == 16  # of the first batch


def test_frozen_parameters_have_no_gradient(tmp_path: Path) -> None:
    model = net()
    model.build((2,))
    model.module.layers[0].weight.trainable = False
    model.module.layers[2].trainable = False
    fit(model, TensorBoard(tmp_path, 1))
    found = read(tmp_path)
    assert {tag for tag in found if "gradient" in tag} == {
        "0.bias/gradient/histogram", "0/gradient_norm"}
    assert {"0.weight/histogram", "2.weight/histogram", "2/activation/histogram"} <= found.keys()
    assert "2/learning_rate" not in found


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("accumulated", [None, 2])
def test_what_is_frozen_or_thawed_after_the_step_is_as_it_was_in_it(
    hook: str, accumulated, tmp_path: Path
) -> None:
    model = net(SGD(0.1, gradient_accumulation_steps=accumulated))
    model.build((2,))
    first, _, last = model.module.layers
    last.trainable = False

    class Turns(Callback):
        def turn(self, when: int, *_: object) -> None:
            if when == (0 if hook == "on_epoch_end" else 1):
                first.trainable, last.trainable = False, True

    setattr(Turns, hook, Turns.turn)
    fit(model, Turns(), TensorBoard(tmp_path, 1))
    found = read(tmp_path)
    of_first, of_last = ([*found[f"{path}.weight/gradient/histogram"]] for path in (0, 2))
    assert (of_first, of_last) == ([0], [1])
    assert [*found["0/gradient_norm"]] == [0] and [*found["2/gradient_norm"]] == [1]
    assert found["0/gradient_norm"][0] > 0 and found["2/gradient_norm"][1] > 0


def test_a_net_with_nothing_to_train_has_weights_and_outputs(tmp_path: Path) -> None:
    model = net()
    model.build((2,))
    model.trainable = False
    fit(model, TensorBoard(tmp_path, 1))
    assert not {tag for tag in read(tmp_path) if "gradient" in tag or "ratio" in tag}


def test_a_shared_module_has_the_outputs_of_all_its_uses_and_one_gradient(tmp_path: Path) -> None:
    shared, x = Linear(2, 2), Input((2,))
    h = shared(x)
    model = net(None, Graph(x, Add()((h, shared(h)))), Linear(1))
    fit(model, TensorBoard(tmp_path, 1))
    found = read(tmp_path)
    linears = [tag for tag in found if tag.endswith("activation/histogram")
               and found[tag][0][:, 2].sum() == 16]
    assert len(linears) == 1 and sum("weight/gradient" in tag for tag in found) == 2


class Both(Module):
    """Hands x on as a dict with whole numbers beside it."""

    def forward(self, x):
        self.save_for_backward()
        return {"x": x, "rounded": (x.round().to(torch.int64), x > 0)}

    def backward(self, dy):
        self.saved_tensors()
        return dy["x"]


class First(Module):
    """Takes the first of what it is given."""

    def forward(self, x):
        self.save_for_backward()
        return x["x"]

    def backward(self, dy):
        self.saved_tensors()
        return {"x": dy, "rounded": (None, None)}


def test_outputs_may_be_several_and_whole_numbers(tmp_path: Path) -> None:
    fit(net(None, Linear(3), Both(), First(), Linear(1)), TensorBoard(tmp_path, 1))
    assert read(tmp_path)["1/activation/histogram"][0][:, 2].sum() == 3 * 4 * 3


def test_of_large_outputs_numbers_at_equal_distances_are_counted(tmp_path: Path) -> None:
    model = net(None, Linear(1024), Flatten(), Linear(1))
    x = torch.linspace(-1, 1, 256).view(128, 2)
    model.fit(x, x[:, :1], batch_size=128, verbose=0, callbacks=TensorBoard(tmp_path, 1))
    counts = read(tmp_path)["0/activation/histogram"][0][:, 2]
    assert 2**13 < counts.sum() <= 2**14


@pytest.mark.parametrize("shape", [(1024, 32), (64, 3, 32, 32), (20000,), (17, 4096)], ids=str)
def test_these_numbers_are_of_all_channels(shape: tuple[int, ...]) -> None:
    channels = torch.arange(shape[-1]).expand(shape)
    assert len(one_step._some(channels).unique()) == min(shape[-1], len(one_step._some(channels)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_noted(bad: float, tmp_path: Path) -> None:
    x, y = data()
    x = torch.where(x == x[0, 0], bad, x)
    model = net()
    model.fit(x, y, batch_size=12, epochs=2, verbose=0, callbacks=TensorBoard(tmp_path, 1))
    found = read(tmp_path)
    assert found["0/activation/not_finite"][0] == 4 and found["0.weight/not_finite"][0] > 0
    assert not math.isfinite(found["0/gradient_norm"][0])
    assert found["0.weight/histogram"][1][:, 2].sum() < 8


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_of_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.set_default_dtype(dtype)
    try:
        fit(net(), TensorBoard(tmp_path, 1))
    finally:
        torch.set_default_dtype(torch.float32)
    found = read(tmp_path)
    assert found["0.weight/gradient/histogram"][0][:, 2].sum() == 8
    assert found["0/update_ratio"][0] > 0


# ---- steps of one's own -------------------------------------------------------------------------


class Skips(Model):
    """Goes through the parts of the net by itself, and leaves the whole out."""

    def train_step(self, x, y, sample_weight=None):
        for layer in (layers := self.module.layers):
            x = layer.forward(x)
        loss = self.objective(x, y, sample_weight)
        dy = self.loss.backward()
        for layer in reversed(layers):
            dy = layer.backward(dy)
        self.step()
        return loss, x


class Never(Model):
    """Trains nothing at all."""

    def train_step(self, x, y, sample_weight=None):
        with self.module.inference():
            y_pred = self.module.forward(x)
        return {"loss": (y_pred - y).square().mean()}


class Twice(Model):
    """Goes through the net twice before it goes back twice."""

    def train_step(self, x, y, sample_weight=None):
        self.module.forward(x)
        y_pred = self.module.forward(x)
        loss = self.objective(y_pred, y, sample_weight)
        dy = self.loss.backward()
        self.module.backward(dy)
        self.module.backward(dy)
        self.step()
        return loss, y_pred


@pytest.mark.parametrize("kind", [Model, Skips, Never, Twice])
def test_a_step_of_ones_own_is_trained_as_without_and_leaves_nothing(kind, tmp_path: Path) -> None:
    trained = []
    for callbacks in ([], [TensorBoard(tmp_path, 1)]):
        set_seed(0)
        model = kind(Linear(4), ReLU(), Dropout(0.2), Linear(1), device="cpu")
        model.compile(Adam(0.01), "mse")
        model.build((2,))
        before = [(type(part), dict(vars(part))) for part in model.module.modules()]
        fit(model, *callbacks, validation_data=data(5))
        after = [(type(part), dict(vars(part))) for part in model.module.modules()]
        assert [kind for kind, _ in after] == [kind for kind, _ in before]
        assert "_advance" not in vars(model.optimizer)
        trained.append(model.module.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    found = read(tmp_path)
    assert list(found["0.weight/histogram"]) == [0, 1]
    assert ("0/gradient_norm" in found) == (kind is not Never)
    calls = {Model: 1, Skips: 1, Never: 0, Twice: 2}[kind]
    assert sum(found[tag][1][:, 2].sum() for tag in found if tag == "0/activation/histogram") == (
        calls * 4 * 4)


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_backward_end", "on_train_batch_end"])
def test_nothing_is_left_when_a_step_fails(hook: str, tmp_path: Path) -> None:
    class Fails(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            self.fails = epoch == 1

    def fail(self, *_) -> None:
        if self.fails:
            raise ZeroDivisionError

    setattr(Fails, hook, fail)
    model = net(SGD(0.1, gradient_accumulation_steps=2))
    with pytest.raises(ZeroDivisionError):
        fit(model, Fails(), TensorBoard(tmp_path, 1))
    assert [type(part) for part in model.module.modules()] == [Sequential, Linear, Tanh, Linear]
    assert "_advance" not in vars(model.optimizer)
    assert list(read(tmp_path)["0/gradient_norm"]) == [0]
    fit(model, TensorBoard(tmp_path, 1))


@pytest.mark.parametrize("batches", [1, (1, 2), (2, 3), (1, 5)], ids=str)
def test_a_step_may_be_profiled_at_the_same_time(batches, tmp_path: Path) -> None:
    model = net()
    fit(model, TensorBoard(tmp_path, 1, profile_batch=batches))
    assert [type(part) for part in model.module.modules()] == [Sequential, Linear, Tanh, Linear]
    assert next((tmp_path / "train/plugins").rglob("*.json")).stat().st_size
    shutil.rmtree(tmp_path / "train" / "plugins")
    assert list(read(tmp_path)["1/activation/histogram"]) == [0, 1]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("accumulated", [None, 3])
def test_two_may_look_at_the_same_steps(every: int, accumulated, tmp_path: Path) -> None:
    alone, model = (net(SGD(0.1, gradient_accumulation_steps=accumulated)) for _ in range(2))
    fit(alone, TensorBoard(tmp_path / "alone", 1), epochs=3)
    fit(model, TensorBoard(tmp_path / "one", every), TensorBoard(tmp_path / "other", 1), epochs=3)
    assert "_advance" not in vars(model.optimizer)
    one, other, expected = (read(tmp_path / name) for name in ("one", "other", "alone"))
    assert other.keys() == one.keys() == expected.keys()
    for tag, values in expected.items():
        assert other[tag].keys() == values.keys()
        for found in (one, other):
            assert all(np.array_equal(found[tag][step], values[step]) for step in found[tag])
    assert list(one["0/gradient_norm"]) == list(range(0, 3, every))


def test_a_copy_made_while_an_update_is_waited_for_trains_for_itself(tmp_path: Path) -> None:
    class Copies(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            if batch == 0:
                before = self.model.get_weights()
                twin = copy.deepcopy(self.model)
                assert "_advance" not in vars(twin.optimizer)
                twin.train_on_batch(*data())
                for one, other in zip(before, self.model.get_weights(), strict=True):
                    assert np.array_equal(one, other)

    fit(net(SGD(0.1, gradient_accumulation_steps=2)), Copies(), TensorBoard(tmp_path, 1))


# ---- cost ---------------------------------------------------------------------------------------


def test_only_one_step_of_an_epoch_is_watched(tmp_path: Path) -> None:
    kinds = []

    class Looks(Model):
        def train_step(self, x, y, sample_weight=None):
            kinds.append(type(self.module) is Sequential and "_advance" not in vars(self.optimizer))
            return super().train_step(x, y, sample_weight)

    model = Looks(Linear(4), Tanh(), Linear(1), device="cpu")
    model.compile("sgd", "mse")
    fit(model, TensorBoard(tmp_path, histogram_freq=2), epochs=3)
    assert kinds == [False, True, True, True, True, True, False, True, True]


def test_short_epochs_are_counted_together_and_long_ones_at_once(tmp_path, monkeypatch) -> None:
    seen: dict[float, list[int]] = {}
    monkeypatch.setattr(runs, "_SECONDS_OF_EPOCHS", -1.0)

    class Reads(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            folder = tmp_path / str(histograms._SECONDS)
            seen.setdefault(histograms._SECONDS, []).append(
                len(read(folder).get("0.weight/histogram", ())))

    for seconds in (-1.0, 1e9):
        monkeypatch.setattr(histograms, "_SECONDS", seconds)
        fit(net(), TensorBoard(tmp_path / str(seconds), 1), Reads(), epochs=3)
        assert len(read(tmp_path / str(seconds))["0.weight/histogram"]) == 3
    assert seen == {-1.0: [1, 2, 3], 1e9: [0, 0, 0]}
    monkeypatch.setattr(histograms, "_MOST", 200)
    fit(net(), TensorBoard(tmp_path / "large", 1), epochs=3)
    assert len(read(tmp_path / "large")["0.weight/histogram"]) == 3


def test_what_waits_is_written_soon_though_the_next_set_is_far_away(tmp_path, monkeypatch) -> None:
    seen = []
    clock = SimpleNamespace(now=100.0)
    for module in (histograms, runs):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))

    class Reads(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            seen.append(len(read(tmp_path).get("0.weight/histogram", ())))
            clock.now += 0.6

    fit(net(), TensorBoard(tmp_path, histogram_freq=100), Reads(), epochs=4)
    assert seen == [0, 0, 1, 1]


def test_running_statistics_have_histograms(tmp_path: Path) -> None:
    model = net(None, Linear(3), BatchNorm1d(), Linear(1))
    fit(model, TensorBoard(tmp_path, 1))
    found = read(tmp_path)
    for name in ("running_mean", "running_var"):
        assert agrees(found[f"1.{name}/histogram"][1], getattr(model.module.layers[1], name))
        assert list(found[f"1.{name}/histogram"]) == [0, 1]
    assert not [tag for tag in found if "num_batches" in tag or "running_mean/gradient" in tag]


def test_containers_have_outputs_but_for_the_whole(tmp_path: Path) -> None:
    model = net(None, Linear(3), Residual(Sequential(Linear(3), Tanh())), Linear(1))
    fit(model, TensorBoard(tmp_path, 1))
    paths = {tag.removesuffix("/activation/histogram") for tag in read(tmp_path)
             if tag.endswith("activation/histogram")}
    assert paths == {"0", "1.body.0", "1.body.1", "1.body", "1.shortcut", "1.merge", "1", "2"}
