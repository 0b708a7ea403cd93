"""Model.replay: what it shows, what it refuses, and that no file can do harm."""

import json
import math
from pathlib import Path

import pytest
import torch

from kerasish import Model, ModelFileError
from kerasish.callbacks import NanTracer
from kerasish.containers import Concat, Graph, Input
from kerasish.insight.replaying.sight import Sight, listed, seen
from kerasish.layers import BatchNorm1d, Dropout, Linear, ReLU, Tanh
from kerasish.optimizers import SGD, Adam
from kerasish.random import global_states, set_global_states
from kerasish.saving import read_file, write_file
from tests.callbacks.diverges import NAN, Log
from tests.saving.hostile import VALUES, changed, places

X = torch.linspace(1, 2, 24).view(8, 3)


def net(*layers, optimizer=None, loss="mse") -> Model:
    model = Model(*(layers or (Linear(4), BatchNorm1d(), Dropout(0.5), Linear(1))), device="cpu")
    model.compile(optimizer or Adam(0.1), loss)
    return model


def saved(folder: Path, model: Model | None = None) -> Path:
    """The second of two steps."""
    model = model or net()
    model.fit(X, X[:, :1], 4, verbose=0, seed=0, callbacks=NanTracer(folder, steps=[2]))
    return folder / "step-00002.safetensors"


def content(path: Path):
    stored = read_file(path, ("step",))
    return stored.configuration, stored.tensors()


# ---- what it shows --------------------------------------------------------------------------


def test_each_number_is_what_it_should_be() -> None:
    values = torch.tensor([[3.0, -4.0], [math.inf, 0.0], [NAN, 0.0]])
    assert seen("0", "ReLU()", "forward", values, 3) == Sight(
        "0", "ReLU()", "forward", (3, 2), 5.0, -4.0, 3.0, 2, (1, 2))
    assert seen("", "", "", values, 2).samples == (), "another axis than that of the batch"
    both = seen("", "", "", (values, {"a": torch.tensor([1, 12])}), None)
    assert both.norm == pytest.approx(math.sqrt(170)) and both.largest == 12
    nothing = seen("", "", "", torch.full((2,), NAN), 2)
    assert (nothing.norm, nothing.not_finite, nothing.samples) == (0.0, 2, (0, 1))
    assert math.isnan(nothing.smallest) and seen("", "", "", torch.ones(0, 3), 0).not_finite == 0


def test_it_prints_every_tensor_in_order_and_marks_the_first(tmp_path) -> None:
    model, x = net(Linear(1, weight_initializer="ones"), Log(), optimizer=SGD(0.0)), X.clone()
    x[5] = -1
    tracer = NanTracer(tmp_path)
    model.fit(x, x[:, :1], 4, shuffle=False, verbose=0, callbacks=tracer)
    lines = str(model.replay(tracer.saved[0])).splitlines()
    path = str(tmp_path / "step-00002.safetensors")
    assert lines[0] == f"Step 2: epoch 1, batch 2, from {path!r}"
    assert lines[1].split() == ["Module", "Direction", "Shape", "Norm", "Smallest", "Largest",
                                "Not", "finite"]
    assert [line.split()[0] for line in lines[2:9]] == [
        "inputs", "targets", "'0'", "'1'", "Sequential", "MSE()", "MSE()"]
    assert [line for line in lines if "<- first" in line] == [lines[5]]
    assert lines[5].split()[1:4] == ["Log()", "forward", "(4,"] and "1 <- first" in lines[5]
    assert lines[-1] == "First not finite: '1' Log(), forward, sample 1."


def test_numbers_that_are_not_finite_at_all_are_shown_as_a_dash(tmp_path) -> None:
    model = net(Log())
    tracer = NanTracer(tmp_path)
    model.fit(-X, X, 8, verbose=0, callbacks=tracer)
    row = next(line for line in str(model.replay(tracer.saved[0])).splitlines() if "Log" in line)
    assert row.split()[-6:] == ["0", "-", "-", "24", "<-", "first"]


def test_a_model_that_was_never_built_can_show_it(tmp_path) -> None:
    model = net()
    path = saved(tmp_path, model)
    fresh = net()
    assert repr(fresh.replay(path).steps) == repr(model.replay(path).steps)
    assert not fresh.built and not fresh.optimizer.built


def test_a_later_state_of_the_model_does_not_matter(tmp_path) -> None:
    model = net()
    path = saved(tmp_path, model)
    before = repr(model.replay(path).steps)
    model.fit(X, X[:, :1], verbose=0, epochs=3)
    model.optimizer.learning_rate = 5.0
    model.module[0].weight.trainable = False
    assert repr(model.replay(path).steps) == before


def test_what_was_found_then_and_is_not_now_is_said(tmp_path) -> None:
    x = X.clone()
    x[0] = -9
    model = net(Linear(1, weight_initializer="ones"), Log(), optimizer=SGD(0.0))
    tracer = NanTracer(tmp_path)
    model.fit(x, x[:, :1], 8, verbose=0, callbacks=tracer)

    class Safe(Log):
        def forward(self, x):
            return super().forward(x.clamp(min=1e-3))

    Safe.__name__ = "Log"
    other = net(Linear(1), Safe(), optimizer=SGD(0.0))
    assert str(other.replay(tracer.saved[0])).splitlines()[-2:] == [
        "All of it is finite.", "When it was saved, that was \"'1' Log()\", 'forward'."]


def test_a_step_of_another_kind_of_device_has_other_noise_and_says_so(tmp_path) -> None:
    path = saved(tmp_path)
    configuration, tensors = content(path)
    step = configuration["step"] | {"device": "cuda"}
    write_file(path, "step", {"step": step}, tensors | {"noise": torch.zeros(16,
                                                                             dtype=torch.uint8)})
    replay = net().replay(path)
    assert not replay.same_noise and "on another kind of device" in str(replay).splitlines()[-1]


@pytest.mark.cuda
@pytest.mark.parametrize("devices", [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")])
def test_between_devices(devices, tmp_path) -> None:
    one, other = (Model(Linear(4), Dropout(0.5), Log(), Linear(1), device=each)
                  for each in devices)
    for model in (one, other):
        model.compile("adam", "mse")
    tracer = NanTracer(tmp_path)
    one.fit(-X, X[:, :1], 4, verbose=0, seed=0, callbacks=tracer)
    replay = other.replay(tracer.saved[0])
    assert replay.first[:3] == ("2", "Log()", "forward")
    assert replay.same_noise == (devices[0] == devices[1])
    if replay.same_noise:
        assert repr(replay.first) == repr(tracer.first)


def test_samples_in_words() -> None:
    assert listed(()) == "" and listed([3]) == "sample 3" and listed([4, 17]) == "samples 4 and 17"
    assert listed(range(9)) == "samples 0, 1, 2, 3, 4, 5, 6, 7 and 1 more"


# ---- what it refuses ------------------------------------------------------------------------


@pytest.mark.parametrize(("other", "message"), [
    (lambda: net(Linear(5), BatchNorm1d(), Dropout(0.5), Linear(1)),
     r"its tensors do not fit the model:\n    0.weight: float32 \(5, 3\) in the net, float32 "
     r"\(4, 3\) in the file"),
    (lambda: net(Linear(4), Dropout(0.5), Linear(1)),
     r"2.weight: float32 \(1, 4\) in the net, nothing in the file"),
    (lambda: net(Linear(4), BatchNorm1d(), Tanh(), Linear(1)),
     r"its layers of Model\(.*\) are \['Sequential', 'Linear', 'BatchNorm1d', 'Dropout', 'Linear'"
     r"\]; the model's \['Sequential', 'Linear', 'BatchNorm1d', 'Tanh', 'Linear'\]"),
    (lambda: net(loss="mae"), r"its losses of Model\(.*\) are \['MSE'\]; the model's \['MAE'\]"),
    (lambda: net(optimizer=SGD(0.1)), r"SGD\.load_state_dict\(state\) expects the slots \(none\)"),
])  # fmt: skip
def test_another_model_is_refused_and_what_differs_is_named(other, message, tmp_path) -> None:
    path, model = saved(tmp_path), other()
    with pytest.raises(ModelFileError, match=message):
        model.replay(path)
    assert not model.built


def test_another_class_of_models_is_refused(tmp_path) -> None:
    class Own(Model):
        pass

    path, model = saved(tmp_path), Own(Linear(4), BatchNorm1d(), Dropout(0.5), Linear(1))
    model.compile("adam", "mse")
    with pytest.raises(ModelFileError, match=r"it is a step of the class 'Model'; got 'Own'\. M"):
        model.replay(path)


def test_before_compile_it_says_so(tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"Model\.replay expects a compiled model"):
        Model(Linear(1)).replay(tmp_path / "nothing")


def test_other_files_are_refused(tmp_path) -> None:
    model = net()
    path = saved(tmp_path, model)
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"expects 'step'; got 'model'. Model.load\(path\)"):
        model.replay(tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"got 'step'. model.replay\(path\) shows it again"):
        Model.load(path)
    with pytest.raises(FileNotFoundError):
        model.replay(tmp_path / "nothing")
    with pytest.raises(TypeError, match=r"^Model.replay\(path\) expects a path; got 3. Write"):
        model.replay(3)


def test_a_damaged_file_is_refused_wherever_it_is_damaged(tmp_path) -> None:
    model = net()
    path = saved(tmp_path, model)
    data = path.read_bytes()
    for place in range(0, len(data), 611):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])
        with pytest.raises(ModelFileError):
            model.replay(path)
    path.write_bytes(data[:-1])
    with pytest.raises(ModelFileError):
        model.replay(path)


OPTIMIZER = "step.trainers..optimizers.optimizer"
HARMLESS = ("step.epoch=", "step.batch=", "step.step=", "step.own=", "step.device=", "step.random=",
            "step.first=", "step.trainers..batches_trained=", f"{OPTIMIZER}.gathered_rows=",
            f"{OPTIMIZER}.learning_rate=", f"{OPTIMIZER}.iterations=")
"""What may be another number, or another text that is only compared or shown."""


def test_a_hostile_file_is_refused_or_harmless(tmp_path) -> None:
    model = net()
    path = saved(tmp_path, model)
    configuration, tensors = content(path)
    before = repr(model.module.state_dict())
    loaded = []
    for number, place in enumerate(places(configuration)):
        for shift in range(2):
            value = VALUES[(2 * number + shift) % len(VALUES)]
            write_file(path, "step", changed(configuration, place, value), tensors)
            try:
                model.replay(path)
            except ModelFileError:
                continue
            if isinstance(value, int | float | str | None) or value in ([], {}):
                loaded.append(f"{'.'.join(map(str, place))}={json.dumps(value)[:40]}")
            else:
                pytest.fail(f"{place} may be {value!r}")
    assert repr(model.module.state_dict()) == before
    assert "\n".join(name for name in loaded if not name.startswith(HARMLESS)) == ""


@pytest.mark.parametrize("value", [
    torch.ones(7), torch.ones(3, dtype=torch.uint8), torch.zeros(0, 10**10)], ids=str)
def test_tensors_of_other_shapes_are_refused_in_no_memory(value, tmp_path) -> None:
    path = saved(tmp_path)
    configuration, tensors = content(path)
    for name in tensors:
        write_file(path, "step", configuration, tensors | {name: value})
        with pytest.raises(ModelFileError):
            net().replay(path)


@pytest.mark.parametrize(("place", "value"), [
    (("modules", "module", "frozen"), {"$tuple": ["0.weight"]}), (("batches_trained",), {"a": 1}),
    (("batches_trained",), -1), (("modules", "module", "frozen"), [1])], ids=str)
def test_what_is_only_put_in_place_is_checked_too(place, value, tmp_path) -> None:
    path = saved(tmp_path)
    configuration, tensors = content(path)
    write_file(path, "step", changed(configuration, ("step", "trainers", "", *place), value),
               tensors)
    with pytest.raises(ModelFileError):
        net().replay(path)


def test_numpys_generator_is_not_put_outside_of_its_words(tmp_path) -> None:
    states = global_states()
    states["numpy"][2] = 10**6
    with pytest.raises(ValueError, match=r"expects a place among numpy's 624 words; got 1000000"):
        set_global_states(states)


def test_a_graph_is_shown_with_all_its_inputs(tmp_path) -> None:
    a, b = Input((3,)), Input((1,))
    model = net(Graph((a, b), Linear(1)(ReLU()(Concat()((a, b))))))
    model.fit((X, X[:, :1]), X[:, :1], 4, verbose=0, callbacks=NanTracer(tmp_path, steps=[1]))
    replay = model.replay(tmp_path / "step-00001.safetensors")
    assert replay.steps[0].shape == ((4, 3), (4, 1)) and "((4, 3), (4, 1))" in str(replay)
    assert [each.path for each in replay.steps if each.direction == "forward"] == ["0", "1", "2",
                                                                                  ""]
