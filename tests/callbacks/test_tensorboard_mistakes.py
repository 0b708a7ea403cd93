"""The worst mistakes of a validation: which, in which order, and what they look like."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.mistakes import Mistakes
from kerasish.callbacks.tensorboard.pictures import captioned, enlarged, tile
from kerasish.callbacks.tensorboard.validation import Answering
from kerasish.layers import (
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    Sigmoid,
    Softmax,
    Tanh,
)
from kerasish.losses import BinaryCrossEntropy, CrossEntropy
from kerasish.optimizers import SGD
from tests.callbacks.pages import pictures, same, state_of, tags, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 10
CLASSES = torch.arange(20) % 3
X[torch.arange(20), 0, 0, CLASSES] += torch.linspace(1, 3, 20)  # one pixel tells the class
STRENGTH = 5.0


def telling(*, outputs: int = 3, **compiled) -> Model:
    """A net that answers by the pixel that tells, and stays so."""
    model = Model(Flatten(), Linear(outputs), *compiled.pop("ending", ()), device="cpu")
    model.build((1, 8, 8))
    linear = model.module.layers[1]
    linear.weight.data.zero_(), linear.bias.data.zero_()
    for number in range(outputs):
        linear.weight.data[number, number] = STRENGTH
    model.compile(SGD(0.0), **({"loss": "cross_entropy"} | compiled))
    return model


def validated(folder: Path, number: int, y, model: Model | None = None, x=X, **arguments):
    model = model or telling()
    options = {"batch_size": 20, "validation_batch_size": 7, "verbose": 0, "seed": 0} | arguments
    model.fit(x, y, validation_data=(x, y), callbacks=with_files(folder, Mistakes(number)),
              **options)
    return pictures(folder / "validation")


def first_tile(shown: np.ndarray) -> np.ndarray:
    return shown[2 : 2 + 72, 2 : 2 + 56]


def as_tile(image: torch.Tensor, text: str) -> np.ndarray:
    return captioned(enlarged(tile(image.numpy()), 56), text)


def test_the_planted_mistake_comes_first_with_its_label(tmp_path: Path) -> None:
    y = CLASSES.clone()
    y[[4, 17, 9]] = torch.tensor([2, 1, 1])  # in truth 1, 2 and 0, said ever more strongly
    ((key, shown),) = validated(tmp_path, 2, y).items()
    assert key == ("mistakes", 0) and shown.shape == (76, 118, 3)
    assert (first_tile(shown) == as_tile(X[17], "1 -> 2")).all()
    assert (shown[2:74, 60:116] == as_tile(X[9], "1 -> 0")).all()


def test_all_mistakes_are_shown_if_there_are_fewer_than_asked_for(tmp_path: Path) -> None:
    y = CLASSES.clone()
    y[3] = 1
    (shown,) = validated(tmp_path, 16, y).values()
    assert shown.shape == (76, 60, 3) and (first_tile(shown) == as_tile(X[3], "1 -> 0")).all()


def test_a_net_without_mistakes_has_no_picture(tmp_path: Path) -> None:
    assert validated(tmp_path, 16, CLASSES) == {}
    assert not (tmp_path / "validation").exists()


@pytest.mark.parametrize(("outputs", "compiled"), [
    (3, {"loss": CrossEntropy(from_logits=False), "ending": (Softmax(1),)}),
    (1, {"loss": "binary_cross_entropy"}),
    (1, {"loss": BinaryCrossEntropy(from_logits=False), "ending": (Sigmoid(),)}),
    (1, {"loss": "mse", "ending": (Sigmoid(),)}),
    (1, {"loss": "mse", "ending": (Tanh(),)}),
], ids=["probabilities", "yes or no", "its probability", "sigmoid", "tanh"])
def test_every_kind_of_classification_is_read(outputs, compiled, tmp_path: Path) -> None:
    model, low = telling(outputs=outputs, **compiled), 0
    if outputs == 1:
        model.module.layers[1].bias.data.fill_(-2.5)
        low = -1 if isinstance(compiled.get("ending", (0,))[0], Tanh) else 0
        y = torch.where(CLASSES == 0, 1.0, low)
        y[0] = low  # the pixel says yes, less strongly than at 18
        y[18] = low
        text = "0 -> 1"
    else:
        y, text = CLASSES.clone(), "2 -> 0"
        y[0], y[18] = 2, 2
    (shown,) = validated(tmp_path, 1, y, model).values()
    assert (first_tile(shown) == as_tile(X[18], text)).all()


def test_probabilities_as_targets_are_classes_by_their_largest(tmp_path: Path) -> None:
    y = torch.nn.functional.one_hot(CLASSES, 3).float()
    y[4] = torch.tensor([0.1, 0.2, 0.7])
    (shown,) = validated(tmp_path, 1, y).values()
    assert (first_tile(shown) == as_tile(X[4], "2 -> 1")).all()


def test_what_has_no_class_is_no_mistake(tmp_path: Path) -> None:
    y = CLASSES.clone()
    y[4], y[17] = 2, -1
    model = telling(loss=CrossEntropy(ignore_index=-1))
    (shown,) = validated(tmp_path, 4, y, model).values()
    assert shown.shape == (76, 60, 3) and (first_tile(shown) == as_tile(X[4], "2 -> 1")).all()


def test_an_answer_that_is_nan_is_the_worst_mistake(tmp_path: Path) -> None:
    x, y = X.clone(), CLASSES.clone()
    x[6, 0, 3, 3] = torch.nan  # of class 0, which arg max would make of it
    y[17] = 1
    model = telling()
    model.fit(X, y, validation_data=(x, y), verbose=0, callbacks=with_files(tmp_path, Mistakes(1)))
    (shown,) = pictures(tmp_path / "validation").values()
    assert (first_tile(shown)[:56] == as_tile(x[6], "")[:56]).all()


def test_images_of_three_channels_keep_their_colours(tmp_path: Path) -> None:
    x = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(6) % 2
    model = Model(Conv2d(2, kernel_size=4), Flatten(), device="cpu")
    model.compile("sgd", "cross_entropy")
    shown = validated(tmp_path, 6, y, model, x, batch_size=6)["mistakes", 0]
    cell = first_tile(shown)[:56:14, ::14]
    assert any((cell == tile(image.numpy())).all() for image in x)
    assert (cell[..., 0] != cell[..., 1]).any()


def test_whole_numbers_as_pixels_will_do(tmp_path: Path) -> None:
    x, y = (X * 80).to(torch.uint8), CLASSES.clone()
    y[4] = 2

    class Scaled(Linear):
        def forward(self, x):
            return super().forward(x.float() / 80)

    model = Model(Flatten(), Scaled(3), device="cpu")
    model.compile(SGD(0.0), "cross_entropy")
    assert validated(tmp_path, 30, y, model, x)


def test_of_several_sizes_the_first_is_looked_at(tmp_path: Path) -> None:
    model = Model(Conv2d(2, kernel_size=3), GlobalAvgPool(), device="cpu")
    model.compile(SGD(0.0), "cross_entropy")
    batches = [(torch.rand(6, 1, size, size), torch.arange(6) % 2) for size in (8, 5, 8)]
    model.fit(batches, validation_data=batches, verbose=0,
              callbacks=with_files(tmp_path, Mistakes(16)))
    (shown,) = pictures(tmp_path / "validation").values()
    assert first_tile(shown).shape == (72, 56, 3)


class Unusual(Model):
    """Answers predictions in a tuple, for nobody else to read."""

    def test_step(self, x, y, sample_weight=None):
        y_pred = self.module.forward(x)
        return self.objective(y_pred, y), (y_pred, y_pred)


@pytest.mark.parametrize("batch", [1, 3, 20])
@pytest.mark.parametrize("block", [1, 500, 10**9])
def test_batches_of_any_size_show_the_same(batch, block, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("kerasish.callbacks.tensorboard.validation._BLOCK", block)
    y = CLASSES.roll(1)
    whole = validated(tmp_path / "a", 5, y)
    parts = validated(tmp_path / "b", 5, y, validation_batch_size=batch)
    assert (whole["mistakes", 0] == parts["mistakes", 0]).all()


def test_each_validation_is_shown_once(tmp_path: Path) -> None:
    y = CLASSES.roll(1)
    validated(tmp_path, 5, y, epochs=5, validation_freq=2)
    assert tags(tmp_path / "validation") == {"mistakes": [1, 3]}


def test_nothing_is_read_from_the_device_while_batches_are_taken_in(monkeypatch) -> None:
    reads = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: reads.append(1) or cpu(self))
    for name in ("item", "__float__", "__bool__", "tolist"):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name,
                            lambda self, name=name, real=real: reads.append(name) or real(self))
    page = Mistakes(4)
    page.model = telling()
    page._answering = Answering(page.model)
    page.begin()
    for part in range(4):
        page.take(page._answering.read(page.model.module(X), CLASSES.roll(part)), X)
    assert reads == []


# ---- where there is nothing to show --------------------------------------------------------------


class Answers(Model):
    def train_step(self, x, y, sample_weight=None):
        loss, _ = super().train_step(x, y, sample_weight)
        return {"loss": loss}

    def test_step(self, x, y, sample_weight=None):
        return {"loss": self.objective(self.module.forward(x), y)}


def of_one(cls=Model, loss="cross_entropy", x=X, y=CLASSES, layers=None, **arguments):
    model = cls(*(layers or (Flatten(), Linear(3))), device="cpu")
    model.compile("sgd", loss)
    return model, x, y, {"validation_data": (x, y)} | arguments


@pytest.mark.parametrize(("case", "why"), [
    (lambda: of_one(validation_data=None), "fit was given no validation data"),
    (lambda: of_one(loss="mse", y=X.flatten(1)[:, :3]), "MSE() is no loss of classes"),
    (lambda: of_one(x=X.flatten(1)), "its images are (N, 1, H, W) or (N, 3, H, W), and samples "
                                     "here are (64,)"),
    (lambda: of_one(loss="binary_cross_entropy", y=torch.ones(20, 3)), "a sample has several "
                                                                       "answers"),
    (lambda: of_one(layers=(Conv2d(3, kernel_size=1),), y=torch.zeros(20, 8, 8).long()),
     "a sample has several answers"),
    (lambda: of_one(Unusual), "test_step answers no predictions for these targets"),
    (lambda: of_one(Answers), "test_step answers no predictions for these targets"),
], ids=["no validation", "regression", "no images", "many labels", "segmentation", "odd step",
        "own step"])
def test_it_says_once_why_there_is_nothing_to_show(case, why, tmp_path: Path, capsys) -> None:
    model, x, y, arguments = case()
    model.fit(x, y, verbose=0, epochs=2, callbacks=with_files(tmp_path, Mistakes(4)), **arguments)
    said = [line for line in capsys.readouterr().err.splitlines() if "write_mistakes" in line]
    assert said == [f"TensorBoard(write_mistakes) has nothing to show: {why}."]
    assert not list(tmp_path.iterdir())


def test_it_costs_no_hook_where_there_is_nothing_to_show(tmp_path: Path) -> None:
    page = Mistakes(4)
    telling().fit(X, CLASSES, verbose=0, callbacks=with_files(tmp_path, page))
    assert not page.listens("on_test_batch_end") and not page.listens("on_train_batch_end")


def test_a_run_that_is_told_again_has_no_answers(tmp_path: Path, capsys) -> None:
    model = telling()
    model.fit(X, CLASSES.roll(1), validation_data=(X, CLASSES.roll(1)), verbose=0)
    model.history.replay(with_files(tmp_path, Mistakes(4)))
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


def test_evaluate_outside_fit_shows_nothing(tmp_path: Path) -> None:
    page, y = Mistakes(4), CLASSES.roll(1)
    callbacks, model = with_files(tmp_path, page), telling()
    model.evaluate(X, y, verbose=0, callbacks=callbacks)
    model.fit(X, y, validation_data=(X, y), verbose=0, callbacks=callbacks)
    model.evaluate(X, y, verbose=0, callbacks=callbacks)
    assert tags(tmp_path / "validation") == {"mistakes": [0]}
    assert model.tested is None


# ---- what it leaves ------------------------------------------------------------------------------


def trained(*callbacks: Callback, **arguments) -> Model:
    model = Model(Conv2d(4, kernel_size=3), Flatten(), Dropout(0.5), Linear(3), device="cpu")
    model.compile("adam", "cross_entropy", metrics=["accuracy"])
    options = {"epochs": 3, "batch_size": 7, "verbose": 0, "seed": 1} | arguments
    model.fit(X, CLASSES, validation_data=(X, CLASSES.roll(1)), callbacks=list(callbacks),
              **options)
    return model


def test_it_leaves_training_and_validation_as_they_are(tmp_path: Path) -> None:
    states, histories = [], []
    for callbacks in ([], with_files(tmp_path, Mistakes(4))):
        torch.manual_seed(0)
        model = trained(*callbacks)
        states.append(state_of(model))
        histories.append(model.history.history)
    assert same(*states) and histories[0] == histories[1]


def test_a_batch_of_validation_is_let_go_of_when_a_callback_fails(tmp_path: Path) -> None:
    class Fails(Callback):
        def on_test_batch_end(self, batch, logs=None) -> None:
            raise OSError("no")

    model, page = telling(), Mistakes(4)
    with pytest.raises(OSError):
        model.fit(X, CLASSES, validation_data=(X, CLASSES), verbose=0,
                  callbacks=[*with_files(tmp_path, page), Fails()])
    assert model.tested is None and not page.listens("on_test_batch_end")


def test_a_run_started_again_shows_each_epoch_once(tmp_path: Path) -> None:
    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        trained(*with_files(folder / "runs", Mistakes(4)), *callbacks)

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", Dies(1, batch=1))
    whole, again = (pictures(tmp_path / name / "runs" / "validation")
                    for name in ("whole", "again"))
    assert list(whole) == list(again) == [("mistakes", epoch) for epoch in range(3)]
    assert all((whole[key] == again[key]).all() for key in whole)
