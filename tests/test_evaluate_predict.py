"""Evaluate and predict: right numbers in the right form, and a model that does not notice."""

import threading

import numpy as np
import pytest
import torch

from kerasish import Model, Sequential
from kerasish.callbacks import Callback
from kerasish.layers import Dropout, Flatten, Linear, ReLU, Tanh
from kerasish.optimizers import SGD, Adam


def data(count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(count))
    return x, x.prod(1, keepdim=True).sign()


def compiled(metrics=None, loss="mse") -> Model:
    model = Model(Linear(4), Tanh(), Dropout(0.5), Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=SGD(0.1, momentum=0.9), loss=loss, metrics=metrics)
    return model


def by_hand(model: Model, x: torch.Tensor) -> np.ndarray:
    """The outputs of a compiled() model, from its weights alone."""
    w1, b1, w2, b2 = (value.numpy() for value in model.module.state_dict().values())
    return np.tanh(np.tanh(x.numpy() @ w1.T + b1) @ w2.T + b2)


# ---- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100, None])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation mode", "training mode"])
def test_predict_gives_the_outputs_of_evaluation_mode(batch_size, training: bool) -> None:
    (x, _), model = data(), compiled()
    model.build((2,))
    model.module.train(training)
    answer = model.predict(x, batch_size=batch_size, verbose=0)
    assert isinstance(answer, np.ndarray) and answer.dtype == np.float32 and answer.shape == (9, 1)
    np.testing.assert_allclose(answer, by_hand(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation mode", "training mode"])
def test_evaluate_gives_means_over_all_samples(batch_size: int, training: bool) -> None:
    (x, y), model = data(), compiled(["accuracy", "mae"])
    model.build((2,))
    model.module.train(training)
    error = np.abs(by_hand(model, x) - y.numpy())
    answer = model.evaluate(x, y, batch_size=batch_size, verbose=0)
    assert answer == pytest.approx(
        [np.mean(error**2), np.mean(error < 1), np.mean(error)], rel=1e-5
    )


def test_evaluate_of_cross_entropy_by_hand() -> None:
    model = Model(Linear(3), device="cpu")
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=["accuracy"])
    (x, _), y = data(), np.arange(9) % 3
    model.build((2,))
    logits = model.predict(x, verbose=0).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert model.evaluate(x, y, batch_size=4, verbose=0) == pytest.approx(
        [-log_p[range(9), y].mean(), (logits.argmax(1) == y).mean()], rel=1e-5
    )


def test_predictions_before_any_target_decide_nothing() -> None:
    x, y = data()
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse", metrics=["accuracy"], weighted_metrics=["mae"])
    outputs, weights = model.predict(x, verbose=0), np.arange(9.0)
    _, accuracy, mae = model.evaluate(x, y, sample_weight=weights, verbose=0)
    assert accuracy == np.mean((outputs > 0) == (y.numpy() > 0)), "targets are -1 and 1"
    error = np.abs(outputs - y.numpy())[:, 0]
    assert mae == pytest.approx((error * weights).sum() / weights.sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("metrics", "return_dict", "kind"),
    [(None, False, float), (["mae"], False, list), (None, True, dict), (["mae"], True, dict)],
    ids=["loss alone", "with metrics", "dict of the loss", "dict with metrics"],
)
def test_evaluate_answers_a_number_a_list_or_a_dictionary(metrics, return_dict, kind) -> None:
    answer = compiled(metrics).evaluate(*data(), verbose=0, return_dict=return_dict)
    assert type(answer) is kind
    if kind is dict:
        assert list(answer) == ["loss", *(metrics or [])]
        answer = list(answer.values())
    assert all(type(value) is float for value in (answer if kind is not float else [answer]))


def test_what_a_callback_adds_to_the_logs_does_not_change_the_answer() -> None:
    class Adds(Callback):
        def on_test_end(self, logs=None) -> None:
            logs["added"] = 1.0

    assert type(compiled().evaluate(*data(), verbose=0, callbacks=Adds())) is float


def test_predict_needs_no_compile_and_builds_what_is_not_built() -> None:
    model = Model(Linear(3), device="cpu")
    assert model.predict(data()[0], verbose=0).shape == (9, 3) and model.built


@pytest.mark.parametrize("built", [True, False], ids=["built", "not built"])
def test_no_samples_give_no_predictions(built: bool) -> None:
    model = Model(Linear(5), Tanh(), Linear(3), device="cpu")
    if built:
        model.build((2,))
    answer = model.predict(np.empty((0, 2)), verbose=0)
    assert answer.shape == (0, 3) and answer.dtype == np.float32


def test_predictions_are_a_copy_of_what_went_in() -> None:
    x = np.ones((2, 3), dtype=np.float32)
    answer = Model(Flatten(), device="cpu").predict(x, verbose=0)
    answer[:] = 7
    assert (x == 1).all()


def test_predictions_of_an_image_model_keep_their_shape() -> None:
    model = Model(Tanh(), device="cpu")
    assert model.predict(np.zeros((5, 2, 4, 4)), batch_size=2, verbose=0).shape == (5, 2, 4, 4)


def test_integers_are_predicted_as_floats_of_the_same_value() -> None:
    model = Model(Linear(3), ReLU(), Linear(2), device="cpu")
    whole = np.array([[1, -2], [3, 4]])
    first = model.predict(whole, verbose=0)
    assert first.dtype == np.float32
    assert (first == model.predict(whole.astype(np.float32), verbose=0)).all()


@pytest.mark.parametrize("in_batches", [True, False])
def test_no_sample_is_asked_twice(in_batches: bool) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    x, y = torch.rand(12, 2), torch.rand(12, 1)
    batches = list(zip(x.split(4), y.split(4), strict=True))
    data = {"x": batches} if in_batches else {"x": x, "y": y, "batch_size": 4}
    with pytest.raises(ValueError, match=r"evaluate\(steps\) expects at most 3, as there are so"):
        model.evaluate(**data, verbose=0, steps=4)
    data.pop("y", None)
    with pytest.raises(ValueError, match=r"predict\(steps\) expects at most 3, as there are so"):
        model.predict(**data, verbose=0, steps=4)
    assert len(model.predict(**data, verbose=0, steps=2)) == 8


def test_outputs_of_several_lengths_are_no_array() -> None:
    model = Model(Linear(2), device="cpu")
    batches = [torch.rand(4, 3, 5), torch.rand(4, 3, 5), torch.rand(4, 6, 5)]
    with pytest.raises(ValueError, match=r"Model\.predict expects outputs of one shape .*; got "
                                         r"\(3, 2\) in the first and \(6, 2\) in batch 2\. Pad"):
        model.predict(lambda: iter(batches), verbose=0)


def test_targets_do_not_matter_to_predict() -> None:
    model, x = Model(Linear(2), device="cpu"), torch.rand(4, 5)
    given = [(x, torch.rand(4, 1)), (x,), (x, None)]
    assert len(model.predict(lambda: iter(given), verbose=0)) == 12


def test_a_model_is_not_compiled_within_fit() -> None:
    class Compiles(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.compile("adam", "mae")

    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match=r"^Model\.compile expects a model that is not being tr"):
        model.fit(torch.rand(4, 2), torch.rand(4, 1), verbose=0, callbacks=Compiles())


def test_a_function_with_too_few_batches_says_so() -> None:
    model = Model(Linear(1), device="cpu")
    batches = [(torch.rand(4, 2), torch.rand(4, 1))] * 3
    with pytest.raises(ValueError, match=r"predict\(x\) expects 4 batches, .*; got the function "
                                         r".* with 3"):
        model.predict(lambda: iter(batches), verbose=0, steps=4)


# ---- nothing is changed -------------------------------------------------------------------------


def state(model: Model) -> dict:
    """Everything of a model that training changes."""
    return {
        "weights": model.module.state_dict(),
        "slots": {
            f"{i}.{name}": slot.clone()
            for i, slots in enumerate(model.optimizer.state.values())
            for name, slot in slots.items()
        },
        "gradients": {name: p.grad.clone() for name, p in model.module.named_parameters()},
        "numbers": torch.tensor([model.optimizer.iterations, model.epochs_trained]),
        "modes": torch.tensor([part.training for part in model.module.modules()]),
        "saved": torch.tensor([len(part._saved) for part in model.module.modules()]),
    }


def equal(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return torch.equal(one, other)


ASKS = {
    "evaluate": lambda model: model.evaluate(*data(5), batch_size=2, verbose=0),
    "predict": lambda model: model.predict(data(5)[0], batch_size=2, verbose=0),
    "test_on_batch": lambda model: model.test_on_batch(*data(5)),
    "predict_on_batch": lambda model: model.predict_on_batch(data(5)[0]),
}
each_way_to_ask = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)


@each_way_to_ask
@pytest.mark.parametrize("training", [True, False], ids=["training mode", "evaluation mode"])
def test_asking_changes_nothing(ask, training: bool) -> None:
    model = compiled(["accuracy"])
    history = model.fit(*data(), verbose=0)
    model.module.train(training)
    for parameter in model.module.parameters():
        parameter.grad += 1.0
    before = state(model)
    ask(model)
    assert equal(before, state(model)) and model.history is history


@each_way_to_ask
@pytest.mark.parametrize(
    "hook", ["on_train_batch_begin", "on_backward_end", "on_train_batch_end", "on_epoch_end",
             "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
)
def test_asking_in_a_hook_leaves_training_as_it_is_to_the_bit(ask, hook: str) -> None:
    runs = []
    for asks in (False, True):
        model, callback, asked = compiled(["accuracy"]), Callback(), []
        if asks:
            setattr(callback, hook, lambda *_, model=model, asked=asked: asked.append(ask(model)))
        history = model.fit(*data(), batch_size=4, epochs=3, verbose=0, seed=0, callbacks=callback,
                            validation_data=data(6))
        assert bool(asked) == asks
        runs.append((history.history, state(model)))
    assert runs[0][0] == runs[1][0] and equal(runs[0][1], runs[1][1])


def test_asking_after_an_error_works_as_before() -> None:
    class Fails(Callback):
        def on_test_batch_end(self, batch, logs=None) -> None:
            raise ValueError("no")

        on_predict_batch_end = on_test_batch_end

    model = compiled()
    model.fit(*data(), verbose=0)
    before, expected = state(model), model.evaluate(*data(), verbose=0)
    for method, inputs in ((model.evaluate, data()), (model.predict, data()[:1])):
        with pytest.raises(ValueError, match="no"):
            method(*inputs, verbose=0, callbacks=Fails())
    assert equal(before, state(model)) and model.evaluate(*data(), verbose=0) == expected


def test_a_forward_by_hand_still_saves_after_predict() -> None:
    model = compiled()
    model.predict(data()[0], verbose=0)
    y = model.module(data()[0])
    assert model.module.backward(torch.ones_like(y)).shape == (9, 2)


# ---- threads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "evaluate"])
def test_four_threads_get_equal_answers(method: str) -> None:
    model = compiled(["accuracy", "mae"])
    inputs = data(40) if method == "evaluate" else data(40)[:1]
    model.fit(*data(), verbose=0)
    expected = getattr(model, method)(*inputs, batch_size=1, verbose=0)
    start, answers, errors = threading.Barrier(4), [], []

    def ask() -> None:
        try:
            start.wait(30)
            for _ in range(5):
                answers.append(getattr(model, method)(*inputs, batch_size=1, verbose=0))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors and len(answers) == 20
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_a_thread_may_predict_while_another_saves_for_backward() -> None:
    model, inside, done = compiled(), threading.Event(), threading.Event()
    model.build((2,))

    class Waits(Callback):
        def on_predict_batch_end(self, batch, logs=None) -> None:
            inside.set()
            done.wait(30)

    thread = threading.Thread(
        target=lambda: model.predict(data()[0], verbose=0, callbacks=Waits())
    )
    thread.start()
    assert inside.wait(30)
    y = model.module.forward(data()[0])
    dx = model.module.backward(torch.ones_like(y))
    done.set()
    thread.join(30)
    assert dx.shape == (9, 2)


# ---- devices and arguments ----------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "auto"], ids=str)
def test_answers_come_to_the_host_from_any_device(device) -> None:
    model = Model(Linear(1), device=device)
    model.compile(optimizer="sgd", loss="mse")
    assert isinstance(model.predict(data()[0], verbose=0), np.ndarray)
    assert isinstance(model.evaluate(*data(), verbose=0), float)


@pytest.mark.cuda
def test_answers_on_cuda_are_those_on_the_cpu() -> None:
    models = [Model(Sequential(Linear(4), Tanh(), Linear(1)), device=d) for d in ("cpu", "cuda")]
    for model in models:
        model.compile(optimizer=Adam(), loss="mse")
        model.fit(*data(), epochs=0, verbose=0, seed=0)
    on_cpu, on_cuda = (model.predict(data()[0], verbose=0) for model in models)
    np.testing.assert_allclose(on_cpu, on_cuda, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True], ids=repr)
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_batch_sizes_that_are_none_are_refused(method: str, batch_size) -> None:
    inputs = data() if method == "evaluate" else data()[:1]
    message = rf"{method}\(batch_size\) expects a whole number"
    with pytest.raises(ValueError, match=message) as caught:
        getattr(compiled(), method)(*inputs, batch_size=batch_size, verbose=0)
    assert f"got {batch_size!r}" in str(caught.value)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (lambda: (np.empty((0, 2)), np.empty((0, 1))), "expects at least one sample"),
        (lambda: (np.ones((3, 2)), np.ones((2, 1))), "got 3 in x and 2 in y"),
        (lambda: (np.ones((3, 2)), np.ones((3, 5))), r"\(3, 1\); got \(3, 5\)"),
        (lambda: (np.ones((3, 2)), None), "expects targets"),
        (lambda: (3.0, 2.0), "got the single number 3"),
    ],
    ids=["no samples", "lengths", "shape of y", "no targets", "a number"],
)
def test_data_that_does_not_fit_is_refused_and_changes_nothing(method, inputs, message) -> None:
    model = compiled()
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        getattr(model, method)(*inputs())
    assert not model.built and "fit(" not in str(caught.value), "who asked is named"


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
def test_a_model_that_is_not_compiled_says_what_to_call(method: str) -> None:
    with pytest.raises(RuntimeError, match=rf"Model\.{method} expects a compiled model") as caught:
        getattr(Model(Linear(1), device="cpu"), method)(*data())
    assert "model.compile(" in str(caught.value)


@pytest.mark.parametrize("features", [1, 3])
def test_another_number_of_features_than_built_for_names_the_module(features: int) -> None:
    model = compiled()
    model.build((2,))
    with pytest.raises(ValueError, match=rf"Linear\(4\) expects 2 features .* got {features}"):
        model.predict(np.ones((4, features)), verbose=0)
