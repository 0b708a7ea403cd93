"""fit(stream_updates=True): the same numbers to the bit, without all gradients at once."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import Model, Module, Parameter
from kerasish.callbacks import (
    BackupAndRestore,
    EarlyStopping,
    HealthMonitor,
    LambdaCallback,
    NanTracer,
    TensorBoard,
    TerminateOnNaN,
)
from kerasish.constraints import MaxNorm
from kerasish.containers import Add, Concat, Graph, Input, Recompute, Residual, Sequential
from kerasish.hooks import Callback
from kerasish.insight.live import held_by
from kerasish.layers import (
    GRU,
    LSTM,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    MaxPool2d,
    MultiheadAttention,
    PReLU,
    ReLU,
    Tanh,
    TransformerEncoderLayer,
)
from kerasish.optimizers import (
    LAMB,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Nadam,
    RAdam,
    RMSprop,
)
from kerasish.schedules import ExponentialDecay
from kerasish.streaming import gradients_used_early
from tests.insight.measured import bytes_of, measured_peak

SAMPLES = 22


class Tied(Module):
    """Goes there by a matrix, and back by the same one, in two modules that have it as theirs."""

    def build(self, shape: Any) -> Any:
        self.there, self.back_again = Linear(5, bias=False), Linear(shape[0], bias=False)
        self.there.build(shape)
        self.back_again.build((5,))
        self.back_again.weight = self.there.weight
        return shape

    def forward(self, x: Tensor) -> Tensor:
        h = self.there.forward(x)
        self.save_for_backward(h)
        return h @ self.there.weight.data

    def backward(self, dy: Tensor) -> Tensor:
        (h,) = self.saved_tensors()
        self.there.weight.grad.add_(h.t() @ dy)
        return self.there.backward(dy @ self.there.weight.data.t())


class Apart(Module):
    """Has a parameter, and a part whose parameters it uses without calling it."""

    def build(self, shape: Any) -> Any:
        self.scale, self.part = Parameter(torch.ones(shape)), Linear(3)
        return self.part.build(shape)

    def forward(self, x: Tensor) -> Tensor:
        scaled = x * self.scale.data
        self.save_for_backward(x, scaled)
        return torch.addmm(self.part.bias.data, scaled, self.part.weight.data.t())

    def backward(self, dy: Tensor) -> Tensor:
        x, scaled = self.saved_tensors()
        self.part.weight.grad.addmm_(dy.t(), scaled)
        self.part.bias.grad.add_(dy.sum(0))
        dx = dy @ self.part.weight.data
        self.scale.grad.add_((dx * x).sum(0))
        return dx * self.scale.data


def shared() -> Graph:
    first, second, eye = Input((4,)), Input((4,)), Sequential(Linear(5), ReLU())
    return Graph((first, second), Linear(2)(Concat()((eye(first), eye(second)))))


def two_ways() -> Graph:
    x = Input((4,))
    h = Linear(4)(x)
    return Graph(x, Linear(2)(Add()((h, Sequential(Tanh(), Linear(4))(h)))))


def unused() -> Graph:
    """One of two outputs has no loss: no gradient comes to its layer."""
    x = Input((4,))
    h = Sequential(Linear(5), Tanh())(x)
    return Graph(x, {"used": Linear(2)(h), "unused": Sequential(Linear(3), Linear(2))(h)})


def stack(*parts: Module) -> Sequential:
    return Sequential(*parts)


NETS: dict[str, tuple[Callable[[], Module], Any]] = {
    "dense": (lambda: stack(Linear(6), ReLU(), Linear(6), PReLU(), Linear(2)), (4,)),
    "one layer": (lambda: Linear(2), (4,)),
    "conv": (lambda: stack(Conv2d(3, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(2),
                           Conv2d(4, kernel_size=2), ReLU(), Flatten(), Linear(2)), (2, 8, 8)),
    "residual": (lambda: stack(Residual(Linear(4), Tanh()), Linear(2)), (4,)),
    "twice the same": (lambda: stack(*[Linear(4)] * 3, Tanh(), Linear(2)), (4,)),
    "computed again": (lambda: stack(Recompute(stack(Linear(4), Dropout(0.3), Tanh())), Linear(2)),
                       (4,)),
    "computed again, twice": (lambda: stack(*[Recompute(stack(Linear(4), Tanh()))] * 2, Linear(2)),
                              (4,)),
    "in parts": (lambda: stack(Apart(), Tanh(), Linear(2)), (4,)),
    "tied": (lambda: stack(Tied(), Linear(2)), (4,)),
    "two ways": (two_ways, (4,)),
    "shared": (shared, ((4,), (4,))),
    "LSTM": (lambda: stack(LSTM(5), Linear(2)), (6, 4)),
    "GRU": (lambda: stack(GRU(5, num_layers=2, bidirectional=True), Linear(2)), (6, 4)),
    "attention": (lambda: stack(MultiheadAttention(num_heads=2), GlobalAvgPool(), Linear(2)),
                  (6, 4)),
    "transformer": (lambda: stack(TransformerEncoderLayer(nhead=2, dim_feedforward=8), LayerNorm(),
                                  Flatten(), Linear(2)), (6, 4)),
}


def drawn(shape: Any) -> Any:
    if isinstance(shape[0], tuple):
        return tuple(map(drawn, shape))
    return torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(1))


def model_of(make: Callable[[], Module], optimizer: Any = "adam") -> Model:
    model = Model(make(), device="cpu")
    model.compile(optimizer() if callable(optimizer) else optimizer, "mse")
    return model


def fitted(model: Model, shape: Any = (4,), epochs: int = 3, **more: Any) -> Model:
    y = torch.randn(SAMPLES, 2, generator=torch.Generator().manual_seed(2))
    model.fit(drawn(shape), y, batch_size=8, epochs=epochs, verbose=0, seed=0, **more)
    return model


def require_same(one: Model, other: Model) -> None:
    assert one.history is not None and other.history is not None
    assert one.history.history == other.history.history
    states = one.module.state_dict(), other.module.state_dict()
    assert all(map(torch.equal, *(state.values() for state in states)))
    (first, second) = (model.optimizer.state_dict() for model in (one, other))
    assert first["iterations"] == second["iterations"]
    for name, slots in first["slots"].items():
        assert all(map(torch.equal, slots, second["slots"][name])), name


def require_whole(model: Model) -> None:
    """Gradients are there again, in vectors, and zeros; nobody listens any more."""
    for parameter in model.module.parameters():
        flat: Any = parameter.flat
        assert parameter.grad.shape == parameter.shape and not parameter.grad.any()
        assert parameter.grad.untyped_storage().data_ptr() == flat.grad.untyped_storage().data_ptr()
        assert len(flat.grad) == len(flat.data) and not parameter.grad.is_inference()
    assert all("_watch" not in vars(type(part)) for part in model.module.modules())
    assert model.optimizer._streaming is None


def both_ways(make: Callable[[], Module], shape: Any, optimizer: Any = "adam",
              **more: Any) -> tuple[Model, Model]:
    models = [fitted(model_of(make, optimizer), shape, stream_updates=in_stream, **more)
              for in_stream in (False, True)]
    require_same(*models)
    require_whole(models[1])
    return models[0], models[1]


# ---- the same numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_nets_train_the_same_to_the_bit(name: str) -> None:
    both_ways(*NETS[name])


@pytest.mark.parametrize("optimizer", [
    SGD, lambda: SGD(0.1, momentum=0.9, nesterov=True), Adam, AdamW, lambda: Adam(amsgrad=True),
    Nadam, RAdam, RMSprop, Adagrad, Adadelta, Adamax, Lion, LAMB,
    lambda: Adam(clipnorm=0.1), lambda: SGD(0.1, clipvalue=0.01), lambda: SGD(weight_decay=0.1),
    lambda: Adam(ExponentialDecay(0.1, 2, 0.5), use_ema=True, ema_momentum=0.5),
    lambda: SGD(0.1, use_ema=True, ema_overwrite_frequency=2),
], ids=lambda make: type(make()).__name__)
def test_optimizers_train_the_same_to_the_bit(optimizer: Any) -> None:
    both_ways(*NETS["dense"], optimizer)


def test_what_hangs_on_parameters_works() -> None:
    both_ways(lambda: stack(
        Linear(6, weight_regularizer="l2", weight_constraint=MaxNorm(0.5)), Tanh(),
        Linear(2, bias_regularizer="l1")), (4,))


def test_frozen_layers_stay_and_thawed_ones_train() -> None:
    def net() -> Sequential:
        made = stack(Linear(6), Tanh(), Linear(6), Tanh(), Linear(2))
        made[2].trainable = False
        return made

    class Thaw(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.module[0].trainable = epoch != 1
            self.model.module[2].trainable = epoch == 1

    before = net()
    before.build((4,))
    for model in both_ways(net, (4,)):
        assert model.module[2].weight.grad is not None
    both_ways(net, (4,), callbacks=Thaw())


def test_layers_that_get_no_gradient_move_by_their_momentum_and_decay() -> None:
    models = []
    for in_stream in (False, True):
        model = Model(unused(), device="cpu")
        model.compile(SGD(0.1, momentum=0.9, weight_decay=0.1),
                      {"used": "mse", "unused": None})
        y = {"used": torch.ones(SAMPLES, 2)}
        model.fit(drawn((4,)), y, batch_size=8, epochs=2, verbose=0, seed=0,
                  stream_updates=in_stream)
        models.append(model)
    require_same(*models)
    require_whole(models[1])


def test_embeddings_weights_of_samples_and_validation_work() -> None:
    x, y = torch.arange(SAMPLES * 3).view(-1, 3) % 7, torch.arange(SAMPLES) % 2
    models = []
    for in_stream in (False, True):
        model = Model(Embedding(7, 4), Flatten(), Linear(2), device="cpu")
        model.compile("adam", "cross_entropy", metrics="accuracy")
        model.fit(x, y, batch_size=8, epochs=3, verbose=0, seed=0, class_weight={0: 1.0, 1: 3.0},
                  sample_weight=torch.arange(SAMPLES) / 10, validation_split=0.3,
                  callbacks=EarlyStopping(patience=1, restore_best_weights=True),
                  stream_updates=in_stream)
        models.append(model)
    require_same(*models)


def test_a_second_fit_goes_on_from_the_first() -> None:
    models = [model_of(NETS["dense"][0]) for _ in range(2)]
    for in_stream in (False, True):
        fitted(models[0])
        fitted(models[1], stream_updates=in_stream)
    require_same(*models)


def test_callbacks_may_predict_evaluate_copy_and_save_between_steps(tmp_path: Any) -> None:
    def look(model: Model) -> None:
        model.predict(drawn((4,)), verbose=0)
        copied = copy.deepcopy(model)
        assert all("_watch" not in vars(type(part)) for part in copied.module.modules())
        fitted(copied, epochs=1)
        model.save(tmp_path / "m.safetensors")

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            look(self.model)

    both_ways(*NETS["dense"], callbacks=Look())
    assert fitted(Model.load(tmp_path / "m.safetensors")).history is not None


def test_a_run_that_was_broken_off_goes_on_to_the_bit(tmp_path: Any) -> None:
    class Broken(Exception):
        """Ends a fit."""

    def stop(batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise Broken

    backup = BackupAndRestore(tmp_path / "b", save_freq=1)
    model = model_of(NETS["dense"][0])
    with pytest.raises(Broken):
        fitted(model, stream_updates=True,
               callbacks=[backup, LambdaCallback(on_train_batch_begin=stop)])
    require_whole(model)
    again = fitted(model_of(NETS["dense"][0]), stream_updates=True,
                   callbacks=BackupAndRestore(tmp_path / "b", save_freq=1))
    plain = fitted(model_of(NETS["dense"][0]))
    assert all(map(torch.equal, again.module.state_dict().values(),
                   plain.module.state_dict().values()))


# ---- less memory --------------------------------------------------------------------------------


def test_gradients_are_there_only_until_they_are_used() -> None:
    model = Model(*[layer for _ in range(20) for layer in (Linear(200), Tanh())], Linear(2),
                  device="cpu")
    model.compile(SGD(0.1), "mse")
    x, y = torch.zeros(3, 200), torch.zeros(3, 2)
    whole, in_stream = (measured_peak(model, x, y, each) for each in (False, True))
    gradients = 4 * model.count_params()
    assert whole - in_stream == pytest.approx(19 / 20 * gradients, rel=0.03)


def test_no_gradient_is_held_between_steps() -> None:
    held = []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            held.append(bytes_of(held_by(self.model)) // 4)

    model = model_of(NETS["dense"][0], SGD)
    for in_stream in (False, True):
        fitted(model, callbacks=Look(), epochs=1, stream_updates=in_stream)
    assert len(held) == 6
    assert held[3] <= held[0] - model.count_params()


def test_nets_stay_fused_and_in_place() -> None:
    """A tool that watches calls each activation by itself; one that listens does not."""
    model = fitted(model_of(NETS["dense"][0]))
    plain = model.module._forth
    with gradients_used_early(model, stream_updates=True):
        model.module.forward(drawn((4,)))
        assert len(model.module._forth) == len(plain) < len(model.module.layers)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "message"), [
    (lambda: SGD(gradient_accumulation_steps=2), r"expects an update for each batch; got "
     r"SGD\(gradient_accumulation_steps=2\), which keeps all gradients"),
    (lambda: Adam(global_clipnorm=1.0), r"got Adam\(global_clipnorm=1.0\), the norm of all of "
     "them. Take clipnorm or clipvalue"),
], ids=["accumulation", "global norm"])
def test_an_optimizer_that_needs_all_gradients_is_refused(optimizer: Any, message: str) -> None:
    model = model_of(NETS["dense"][0], optimizer)
    with pytest.raises(ValueError, match=message):
        fitted(model, stream_updates=True)
    assert not model.module.built


@pytest.mark.parametrize(("settings", "named"), [
    ({"jit_compile": True}, "jit_compile=True"), ({"precision": "bfloat16"}, "precision")])
def test_other_ways_of_computing_are_refused(settings: Any, named: str) -> None:
    model = Model(Linear(2), device="cpu")
    model.compile("sgd", "mse", **settings)
    with pytest.raises(ValueError, match=f"expects a model compiled without {named}; got one with"):
        fitted(model, stream_updates=True)


@pytest.mark.parametrize("make", [
    HealthMonitor, TerminateOnNaN, lambda: NanTracer("x.safetensors"),
    lambda: LambdaCallback(on_backward_end=print)], ids=lambda make: type(make()).__name__)
def test_callbacks_that_look_at_gradients_are_refused(make: Any) -> None:
    callback, model = make(), model_of(NETS["dense"][0])
    if not callback.listens("on_backward_end"):
        pytest.fail("then it need not be refused")
    with pytest.raises(ValueError, match="expects callbacks that need no gradients; got "
                                         f"{type(callback).__name__}, which looks at all"):
        fitted(model, stream_updates=True, callbacks=callback)


def test_tensorboard_without_histograms_is_welcome(tmp_path: Any) -> None:
    fitted(model_of(NETS["dense"][0]), stream_updates=True, callbacks=TensorBoard(tmp_path))


def test_a_train_step_of_ones_own_is_refused() -> None:
    class Own(Model):
        def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
            return super().train_step(x, y, sample_weight)

    model = Own(Linear(2), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expects the usual train_step; got that of Own"):
        fitted(model, stream_updates=True)


def test_parameters_of_another_model_are_refused() -> None:
    whole = Sequential(Linear(4), Linear(2))
    first = Model(whole, device="cpu")
    first.compile("sgd", "mse")
    fitted(first, epochs=1)
    second = Model(whole[0], Linear(2), device="cpu")
    second.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expects parameters of this model alone; got 2 others"):
        fitted(second, stream_updates=True)
    fitted(second)


def test_going_back_more_often_than_forward_is_refused() -> None:
    class Again(Module):
        def __init__(self) -> None:
            self.part = Linear(4)

        def build(self, shape: Any) -> Any:
            return self.part.build(shape)

        def forward(self, x: Tensor) -> Tensor:
            self.save_for_backward(x)
            return self.part.forward(x)

        def backward(self, dy: Tensor) -> Tensor:
            (x,) = self.saved_tensors()
            self.part.backward(dy)
            self.part.forward(x)
            return self.part.backward(dy)

    model = model_of(lambda: stack(Again(), Linear(2)))
    with pytest.raises(RuntimeError, match="expects a module to go back as often as it went for"):
        fitted(model, stream_updates=True)
    require_whole(model)


def test_it_is_yes_or_no() -> None:
    with pytest.raises(ValueError, match=r"fit\(stream_updates\) expects True or False; got 1"):
        fitted(model_of(NETS["dense"][0]), stream_updates=1)
