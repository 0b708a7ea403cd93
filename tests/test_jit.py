"""Compiled steps: the same training as without, fewer calls, and plain words where they cannot be.

Most tests let torch only write the steps down and run them as they are (`aot_eager`), which takes
no compiler; those that compile to C++ are few.
"""

import copy
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.debugging import aot_eager

from kerasish import Model, Module, Sequential, export
from kerasish.callbacks import BackupAndRestore
from kerasish.constraints import MaxNorm
from kerasish.containers import Add, Graph, Input, Recompute, Residual
from kerasish.hooks import Callback
from kerasish.jit import execution
from kerasish.layers import (
    GRU,
    LSTM,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool2d,
    MultiheadAttention,
    ReLU,
    Sigmoid,
    SiLU,
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
    Optimizer,
    RAdam,
    RMSprop,
)
from kerasish.schedules import ExponentialDecay
from kerasish.watching import Watch

SAMPLES = 22
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Has programs run without C++; lists them as they are made."""
    made: list[Any] = []

    def backend(graph: Any, inputs: list[Any], **_: Any) -> Callable[..., Any]:
        made.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(execution, "compiler", {"backend": backend})
    yield made
    torch._dynamo.reset()


def numbers(*shape: int) -> Tensor:
    return torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(1))


def classes(count: int = 3) -> Tensor:
    return torch.randint(count, (SAMPLES,), generator=torch.Generator().manual_seed(2))


def mlp() -> Sequential:
    return Sequential(Linear(4, 6), Tanh(), Linear(6), ReLU(), Linear(3))


def trained(
    make: Callable[[], Module] = mlp, jit: bool = True, x: Any = None, y: Any = None,
    optimizer: Callable[[], Optimizer] = lambda: SGD(0.1), loss: Any = "cross_entropy",
    metrics: Any = ("accuracy",), steps: int = 2, epochs: int = 2, cls: type[Model] = Model,
    before: Callable[[Model], None] | None = None, **more: Any,
) -> Model:
    """A model that was fitted to samples of five batches of four, and one of two."""
    torch.manual_seed(0)
    model = cls(make(), device="cpu")
    model.compile(optimizer(), loss, metrics=list(metrics), steps_per_execution=steps,
                  jit_compile=jit)
    if before:
        before(model)
    model.fit(numbers(4) if x is None else x, classes() if y is None else y, epochs=epochs,
              **{"batch_size": 4, "seed": 3, "verbose": 0} | more)
    return model


def state(model: Model) -> list[Tensor]:
    return [*model.module.state_dict().values(),
            *(each for slot in model.optimizer.state_dict()["slots"].values() for each in slot)]


def require_same(one: Model, other: Model, rtol: float = 1e-4, atol: float = 1e-6) -> None:
    assert one.history is not None and other.history is not None
    assert one.history.history.keys() == other.history.history.keys()
    for name, values in one.history.history.items():
        assert values == pytest.approx(other.history.history[name], rel=1e-5, abs=1e-6), name
    for mine, others in zip(state(one), state(other), strict=True):
        torch.testing.assert_close(mine, others, rtol=rtol, atol=atol)
    assert one.optimizer.iterations == other.optimizer.iterations
    assert one.batches_trained == other.batches_trained


def require_compiled(model: Model, programs: int = 1) -> None:
    assert model.jit is not None and not model.jit.refused
    assert len(model.jit.programs) == programs


# ---- the same results ---------------------------------------------------------------------------


def test_a_script_of_the_readme_gives_the_same_through_c_plus_plus(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = trained(steps=4, optimizer=lambda: Adam(0.01))
    require_compiled(model)
    require_same(model, trained(jit=False, steps=4, optimizer=lambda: Adam(0.01)))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "fit: compiling 4 steps of training, which takes some seconds."
    assert second.startswith("fit: compiled in ")


def test_large_products_give_the_same_through_c_plus_plus() -> None:
    draws = torch.Generator().manual_seed(0)
    x, y = (torch.randn(256, size, generator=draws) for size in (128, 1))
    models = []
    for jit_compile in (False, True):
        model = Model(Linear(256), ReLU(), Linear(1), device="cpu")
        model.compile("adam", "mse", jit_compile=jit_compile)
        model.fit(x, y, 128, 3, verbose=0, seed=0)
        models.append(model)
    require_same(*models)
    require_compiled(models[1])


def convnet() -> Sequential:
    return Sequential(Conv2d(4, kernel_size=3, bias=False), BatchNorm2d(), ReLU(), MaxPool2d(2),
                      Flatten(), Linear(3))


def graph() -> Graph:
    x = Input((4,))
    h = Linear(5)(x)
    return Graph(x, Linear(3)(Add()((Tanh()(h), Sigmoid()(h)))))


NETS: dict[str, tuple[Callable[[], Module], Tensor]] = {
    "MLP": (mlp, numbers(4)),
    "ConvNet": (convnet, numbers(1, 8, 8)),
    "norms": (lambda: Sequential(Conv2d(4, kernel_size=3), GroupNorm(2), SiLU(), AvgPool2d(2),
                                 Flatten(), Linear(3)), numbers(1, 8, 8)),
    "Residual": (lambda: Sequential(Linear(4), Residual(Sequential(Linear(4), LayerNorm())),
                                    Linear(3)), numbers(4)),
    "Graph": (graph, numbers(4)),
    "noise": (lambda: Sequential(GaussianNoise(0.3), Linear(6), Dropout(0.3), ReLU(), Dropout(0.5),
                                 Linear(3)), numbers(4)),
    "attention": (lambda: Sequential(MultiheadAttention(num_heads=2), Flatten(), Linear(3)),
                  numbers(6, 4)),
    "Transformer": (lambda: Sequential(TransformerEncoderLayer(
        nhead=2, dim_feedforward=8, dropout=0.1), Flatten(), Linear(3)), numbers(6, 4)),
    "Embedding": (lambda: Sequential(Embedding(10, 4), Flatten(), Linear(3)),
                  torch.randint(10, (SAMPLES, 5), generator=torch.Generator().manual_seed(3))),
    "Recompute": (lambda: Sequential(Recompute(Sequential(Linear(4), Tanh())), Linear(3)),
                  numbers(4)),
    "frozen": (lambda: Sequential(frozen(Linear(4, 6)), ReLU(), Linear(6, 5), frozen(Linear(5, 3))),
               numbers(4)),
}


def frozen(module: Module) -> Module:
    module.trainable = False
    return module


@pytest.mark.parametrize("name", NETS)
def test_nets_give_the_same(name: str, compiled: list[Any]) -> None:
    make, x = NETS[name]
    model = trained(make, x=x)
    require_compiled(model)
    assert len(compiled) == 1
    require_same(model, trained(make, False, x=x))


@pytest.mark.parametrize("make", [lambda: LSTM(5), lambda: GRU(5)])
def test_nets_of_sequences_give_the_same(make: Any, compiled: list[Any]) -> None:
    """Compiled or refused: recurrent kernels are not known to every torch."""
    def net() -> Sequential:
        return Sequential(make(), Flatten(), Linear(3))

    require_same(trained(net, x=numbers(6, 4)), trained(net, False, x=numbers(6, 4)))


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "momentum": lambda: SGD(0.1, momentum=0.9, weight_decay=0.1, clipnorm=0.1),
    "Nesterov": lambda: SGD(0.1, momentum=0.9, nesterov=True, global_clipnorm=0.1),
    "Adam": lambda: Adam(0.01, clipvalue=0.05),
    "AMSGrad": lambda: Adam(0.01, beta_2=0.3, amsgrad=True),
    "averages": lambda: Adam(0.01, use_ema=True, ema_momentum=0.7),
    "AdamW": lambda: AdamW(0.01, weight_decay=0.5),
    "Adamax": lambda: Adamax(0.01), "Nadam": lambda: Nadam(0.01),
    "RAdam": lambda: RAdam(0.01), "RMSprop": lambda: RMSprop(0.01),
    "centered": lambda: RMSprop(0.01, momentum=0.5, centered=True),
    "Adagrad": lambda: Adagrad(0.1), "Adadelta": lambda: Adadelta(1.0),
    "Lion": lambda: Lion(0.001), "LAMB": lambda: LAMB(0.01),
    "schedule": lambda: SGD(ExponentialDecay(0.5, 3, 0.5)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_give_the_same(name: str, compiled: list[Any]) -> None:
    """RAdam changes its formula after the fifth update, within an execution."""
    def net() -> Sequential:
        return Sequential(Linear(4, 6), Tanh(), Linear(6, 3))

    model = trained(net, optimizer=OPTIMIZERS[name], metrics=())
    require_compiled(model)
    assert len(compiled) == 1
    require_same(model, trained(net, False, optimizer=OPTIMIZERS[name], metrics=()), atol=1e-5)


def hung() -> Sequential:
    net = Sequential(Linear(4, 6, weight_regularizer="l2", weight_constraint=MaxNorm(0.5)), Tanh(),
                     Linear(6, 3))
    net[2].learning_rate_multiplier = 3.0
    return net


def test_what_hangs_on_parameters_works(compiled: list[Any]) -> None:
    model = trained(hung, optimizer=lambda: SGD(0.5))
    require_compiled(model)
    require_same(model, trained(hung, False, optimizer=lambda: SGD(0.5)))


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 50])
def test_steps_that_fill_no_execution_and_the_short_batch_are_trained_too(
    steps: int, compiled: list[Any],
) -> None:
    model = trained(steps=steps, epochs=3)
    require_compiled(model)
    assert len(compiled) == 1
    require_same(model, trained(jit=False, steps=steps, epochs=3))


def test_weights_of_samples_and_classes_count(compiled: list[Any]) -> None:
    given: Any = {"sample_weight": torch.rand(SAMPLES), "class_weight": {0: 3.0}}
    model = trained(**given)
    require_compiled(model)
    require_same(model, trained(jit=False, **given))


def test_several_outputs_and_metrics_of_all_kinds_are_logged_alike(compiled: list[Any]) -> None:
    def net() -> Graph:
        x = Input((4,))
        h = Tanh()(Linear(5)(x))
        return Graph(x, {"a": Linear(3)(h), "b": Linear(1)(h)})

    def largest(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred.max()

    def fitted(jit: bool) -> Model:
        torch.manual_seed(0)
        model = Model(net(), device="cpu")
        model.compile(SGD(0.1), {"a": "cross_entropy", "b": "mse"}, {"a": 0.5, "b": 2.0},
                      {"a": "accuracy", "b": ["mae", largest]}, steps_per_execution=2,
                      jit_compile=jit)
        model.fit(numbers(4), {"a": classes(), "b": numbers(1)}, batch_size=4, epochs=2, seed=3,
                  verbose=0)
        return model

    model = fitted(True)
    require_compiled(model)
    require_same(model, fitted(False))


@pytest.mark.parametrize("source", ["batches", "steps_per_epoch"])
def test_other_data_than_arrays_are_stacked(source: str, compiled: list[Any]) -> None:
    parts = list(zip(numbers(4).split(4), classes().split(4), strict=True))
    given: Any = {"steps_per_epoch": 5}
    if source == "batches":
        given = {"x": lambda: iter(parts), "y": None, "batch_size": None}

    def fitted(jit: bool) -> Model:
        torch.manual_seed(0)
        model = Model(mlp(), device="cpu")
        model.compile(SGD(0.1), "cross_entropy", metrics=["accuracy"], steps_per_execution=2,
                      jit_compile=jit)
        model.fit(**{"x": numbers(4), "y": classes(), "batch_size": 4} | given, epochs=3, seed=3,
                  verbose=0)
        return model

    model = fitted(True)
    require_compiled(model)
    require_same(model, fitted(False))


def test_nan_spreads_as_without(compiled: list[Any]) -> None:
    x = numbers(4)
    x[7] = math.nan
    model = trained(x=x)
    require_compiled(model)
    assert model.history is not None and math.isnan(model.history.history["loss"][-1])
    for mine, others in zip(state(model), state(trained(jit=False, x=x)), strict=True):
        torch.testing.assert_close(mine, others, equal_nan=True)


# ---- callbacks ----------------------------------------------------------------------------------


class Recorder(Callback):
    """Notes what it is told, and what it sees then."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._note("begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._note("end", batch, **dict(logs))

    def _note(self, event: str, batch: int, **logs: float) -> None:
        x, _, _ = self.model.batch_data
        weight = next(self.model.module.parameters()).data
        self.events.append((event, batch, self.model.batch, self.model.optimizer.iterations,
                            float(x.sum()), float(weight.sum()), *logs.values()))


def test_hooks_are_called_as_without_and_see_the_same(compiled: list[Any]) -> None:
    one, other = Recorder(), Recorder()
    require_compiled(trained(steps=2, callbacks=[one]))
    trained(jit=False, steps=2, callbacks=[other])
    assert [event[:4] for event in one.events] == [event[:4] for event in other.events]
    for mine, others in zip(one.events, other.events, strict=True):
        assert mine[4:] == pytest.approx(others[4:], rel=1e-4, abs=1e-5)


class Halving(Callback):
    """Sets the rate, and once an epoch freezes or thaws a layer."""

    def __init__(self, freezes: bool = False) -> None:
        self.freezes = freezes

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate *= 0.9

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.freezes:
            self.model.module[0].trainable = not self.model.module[0].trainable


def test_another_rate_needs_no_other_program(compiled: list[Any]) -> None:
    model = trained(callbacks=[Halving()])
    model.fit(numbers(4), classes(), batch_size=4, epochs=1, seed=4, verbose=0)
    require_compiled(model)
    assert len(compiled) == 1
    other = trained(jit=False, callbacks=[Halving()])
    other.fit(numbers(4), classes(), batch_size=4, epochs=1, seed=4, verbose=0)
    require_same(model, other)


def test_a_frozen_layer_has_a_program_of_its_own(compiled: list[Any]) -> None:
    model = trained(callbacks=[Halving(freezes=True)], epochs=4)
    require_compiled(model, 2)
    assert len(compiled) == 2
    require_same(model, trained(jit=False, callbacks=[Halving(freezes=True)], epochs=4))


class Setting(Callback):
    """Sets something else after each epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.momentum = 0.5 + epoch / 100


def test_settings_that_change_all_the_time_end_compiling(
    compiled: list[Any], capsys: pytest.CaptureFixture[str],
) -> None:
    given: Any = {"optimizer": lambda: SGD(0.01, momentum=0.5), "epochs": 11,
                  "callbacks": [Setting()]}
    model = trained(**given)
    assert model.jit is not None and model.jit.refused and len(compiled) == 8
    assert "got more than 8 kinds of steps" in capsys.readouterr().err
    require_same(model, trained(jit=False, **given))


class Strengthening(Callback):
    """Sets what is no attribute of a module after the first epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.module[0].weight.regularizer.l2 = 0.5


def test_settings_of_what_hangs_on_parameters_count(compiled: list[Any]) -> None:
    model = trained(hung, callbacks=[Strengthening()])
    require_compiled(model, 2)
    require_same(model, trained(hung, False, callbacks=[Strengthening()]))


def test_a_fit_with_a_hook_on_gradients_leaves_later_fits_compiled(
    compiled: list[Any], capsys: pytest.CaptureFixture[str],
) -> None:
    model = trained(callbacks=[Between()])
    assert compiled == [] and "got Between, which is called" in capsys.readouterr().err
    model.fit(numbers(4), classes(), batch_size=4, verbose=0)
    require_compiled(model)


class Watching(Callback):
    """Looks at the modules during the second epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.seen = 0
        if epoch == 1:
            self.watch = Counting(self.model.module)
            self.watch.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.watch.stop()
            assert self.watch.calls == 6 * 6


class Counting(Watch):
    """Counts calls of forward."""

    calls = 0

    def forward(self, place: Any, x: Any, call: Callable[[Any], Any]) -> Any:
        self.calls += 1
        return call(x)


def test_who_watches_modules_sees_each_call(compiled: list[Any]) -> None:
    model = trained(callbacks=[Watching()], epochs=3)
    require_compiled(model)
    require_same(model, trained(jit=False, epochs=3))


class Failing(Callback):
    """Breaks off in the second epoch, once."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations == 10:
            raise KeyboardInterrupt


def test_a_run_goes_on_to_the_bit(compiled: list[Any], tmp_path: Any) -> None:
    def net() -> Sequential:
        return Sequential(Linear(4, 6), Dropout(0.3), Tanh(), Linear(6, 3))

    whole = trained(net, epochs=3)
    backup = BackupAndRestore(tmp_path, save_freq=2)
    with pytest.raises(KeyboardInterrupt):
        trained(net, epochs=3, callbacks=[backup, Failing()])
    again = trained(net, epochs=3, callbacks=[BackupAndRestore(tmp_path, save_freq=2)])
    assert all(torch.equal(*pair) for pair in zip(state(whole), state(again), strict=True))


# ---- what is refused ----------------------------------------------------------------------------


class OwnStep(Model):
    """Trains in a way of its own."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().train_step(x, y, sample_weight)


class OwnAdam(Adam):
    """Another formula, for all that is known."""


class Between(Callback):
    """Looks at gradients."""

    def on_backward_end(self, batch: int) -> None:
        pass


class Reading(Module):
    """Reads a value on the host."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (2.0 if float(x.sum()) > -1e9 else 1.0)

    def backward(self, dy: Tensor) -> Tensor:
        return dy * 2.0


class Numbering(Module):
    """Does something else in each call."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls

    def backward(self, dy: Tensor) -> Tensor:
        return dy * self.calls


class Hiding(Module):
    """Adds up what it sees in a tensor that is no buffer."""

    def __init__(self) -> None:
        self.sums = [torch.zeros(4)]

    def forward(self, x: Tensor) -> Tensor:
        self.sums[0].add_(x.sum(0))
        return x + self.sums[0]

    def backward(self, dy: Tensor) -> Tensor:
        return dy


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "step": ({"cls": OwnStep}, "got OwnStep.train_step, a method of your own"),
    "optimizer": ({"optimizer": lambda: OwnAdam(0.01)}, "got the optimizer OwnAdam"),
    "accumulation": ({"optimizer": lambda: SGD(0.1, gradient_accumulation_steps=2)},
                     r"got SGD\(gradient_accumulation_steps\)"),
    "host": ({"make": lambda: Sequential(Reading(), mlp())}, "got RuntimeError: .*"),
    "counter": ({"make": lambda: Sequential(Numbering(), mlp())},
                "got NotImplementedError: a module that keeps numbers of its own"),
    "tensor": ({"make": lambda: Sequential(Hiding(), mlp())},
               "got Untraceable: a tensor that is no buffer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compiled_is_named_once_and_trained_without(
    name: str, compiled: list[Any], capsys: pytest.CaptureFixture[str],
) -> None:
    given, says = REFUSED[name]
    model = trained(**given)
    model.fit(numbers(4), classes(), batch_size=4, verbose=0)
    assert compiled == []
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(
        rf"^compile\(jit_compile=True\) expects a training step that can be compiled; {says}", line)
    assert line.endswith("Leave jit_compile out, or change what is named.")
    if name not in ("counter", "tensor"):  # their trace was a call more
        one, other = trained(**given), trained(jit=False, **given)
        assert all(torch.equal(*pair) for pair in zip(state(one), state(other), strict=True))


def test_precision_is_refused(compiled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    model = Model(mlp(), device="cpu")
    model.compile("sgd", "cross_entropy", precision="bfloat16", jit_compile=True)
    model.fit(numbers(4), classes(), verbose=0)
    assert "got precision. Training goes on" in capsys.readouterr().err and not compiled


def test_a_broken_compiler_is_named_and_training_goes_on_with_the_same_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    def backend(*_: Any, **__: Any) -> Any:
        raise OSError("no compiler here")

    def net() -> Sequential:
        return Sequential(Linear(4, 6), Dropout(0.3), Tanh(), Linear(6, 3))

    monkeypatch.setattr(execution, "compiler", {"backend": backend})
    model = trained(net)
    assert "got OSError: no compiler here. Training goes on" in capsys.readouterr().err
    other = trained(net, jit=False)
    assert all(torch.equal(*pair) for pair in zip(state(model), state(other), strict=True))


SCRIPT = """
import sys, kerasish
assert "torch._dynamo" not in sys.modules and "torch._inductor" not in sys.modules
from kerasish.layers import Linear
model = kerasish.Model(Linear(1), device="cpu")
model.compile("sgd", "mse", steps_per_execution=2, jit_compile=True)
assert "torch._dynamo" not in sys.modules
history = model.fit([[1.0]] * 8, [[1.0]] * 8, batch_size=2, verbose=0)
print(len(history.history["loss"]))
"""


def test_without_a_c_plus_plus_compiler_training_goes_on(tmp_path: Any) -> None:
    environment = {**os.environ, "CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, text=True,
                          capture_output=True, timeout=120)
    assert done.stdout == "1\n", done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("compile(")]
    assert "InvalidCxxCompiler" in line or "compiler" in line.lower()


# ---- the rest of the model ----------------------------------------------------------------------


def test_it_is_yes_or_no() -> None:
    with pytest.raises(ValueError, match=r"compile\(jit_compile\) expects True or False; got 1"):
        Model(mlp()).compile("sgd", "cross_entropy", jit_compile=1)  # type: ignore[arg-type]


def test_copies_and_files_compile_again(compiled: list[Any], tmp_path: Any) -> None:
    model = trained()
    model.save(tmp_path / "model.safetensors")
    loaded = Model.load(tmp_path / "model.safetensors", device="cpu")
    for each in (copy.deepcopy(model), loaded):
        assert each.jit is not None and each.jit.programs == {}
        each.fit(numbers(4), classes(), batch_size=4, seed=5, verbose=0)
        require_compiled(each)
    assert len(compiled) == 3


def test_what_is_trained_may_be_evaluated_checked_and_exported(compiled: list[Any]) -> None:
    model = trained(validation_split=0.2)
    assert not any(value.is_inference() for value in (
        *state(model), *(p.data for p in model.module.parameters()),
        *(p.grad for p in model.module.parameters())))
    assert all(not p.grad.any() for p in model.module.parameters())
    assert model.evaluate(numbers(4), classes(), verbose=0, return_dict=True).keys() == {
        "loss", "accuracy"}
    export.to_torch(model.module)
    assert model.check(numbers(4), classes())


def test_two_models_do_not_share_programs(compiled: list[Any]) -> None:
    def wide() -> Sequential:
        return Sequential(Linear(4, 9), Tanh(), Linear(9, 3))

    for make in (mlp, wide, mlp):
        require_same(trained(make), trained(make, jit=False))
    assert len(compiled) == 3
