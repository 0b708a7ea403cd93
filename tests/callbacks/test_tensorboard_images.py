"""Weights as pictures: which ones, when, and that the pixels are the numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model, Module, Parameter
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.images import Images, pictures_of
from kerasish.callbacks.tensorboard.pictures import captioned, enlarged, grid, padded, tile
from kerasish.layers import Conv2d, Dropout, Embedding, Flatten, Linear, MaxPool2d, ReLU
from tests.callbacks.pages import pictures, same, state_of, tags, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(12, 1, 8, 8, generator=GENERATOR)
Y = torch.arange(12) % 3


def compiled(*layers, loss="cross_entropy") -> Model:
    layers = layers or (Conv2d(4, kernel_size=3), ReLU(), Flatten(), Dropout(0.5), Linear(3))
    model = Model(*layers, device="cpu")
    model.compile("adam", loss)
    return model


def fit(*callbacks: Callback, model: Model | None = None, x=X, y=Y, **arguments) -> Model:
    model = model or compiled()
    options = {"batch_size": 5, "epochs": 2, "verbose": 0, "seed": 3} | arguments
    model.fit(x, y, callbacks=list(callbacks), **options)
    return model


def stretched(values: np.ndarray) -> np.ndarray:
    return (255 * (values - values.min()) / (values.max() - values.min())).astype(np.uint8)


def test_filters_are_the_weights_each_from_black_to_white(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Images(1)))
    shown = pictures(tmp_path / "train")["0.weight/image", 1]
    weight = model.module.state_dict()["0.weight"].numpy().astype(np.float64)
    for number in range(4):
        top, left = (2 + 35 * part for part in divmod(number, 2))
        cell = shown[top : top + 33, left : left + 33]
        assert (cell[::11, ::11, 0] == stretched(weight[number, 0])).all()
        assert (cell == cell[::11, ::11].repeat(11, 0).repeat(11, 1)).all()
    assert shown.shape == (72, 72, 3)


def test_filters_of_three_channels_have_colours() -> None:
    model = compiled(Conv2d(2, kernel_size=2), Flatten(), Linear(3))
    model.build((3, 4, 4))
    shown = dict(pictures_of(model.module))["0.weight"]
    weight = model.module.state_dict()["0.weight"].numpy().astype(np.float64)
    assert (shown[2:34:16, 2:34:16] == stretched(weight[0]).transpose(1, 2, 0)).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (64,), (3, 4, 4)])
def test_rows_of_a_linear_that_sees_images_are_images(shape) -> None:
    model = compiled(Flatten(), Linear(5), ReLU(), Linear(3))
    model.build(shape)
    shown = dict(pictures_of(model.module))
    weight = model.module.state_dict()["1.weight"].numpy().astype(np.float64)
    side = shape[-1] if len(shape) > 1 else 8
    factor = 32 // side
    first = stretched(weight[0]).reshape(-1, side, side).transpose(1, 2, 0)
    assert (shown["1.weight"][2:34:factor, 2:34:factor] == first).all()
    assert shown["3.weight"].shape == (3 * 7, 5 * 7, 3)  # 3 x 5 numbers, no rows of images


def test_matrices_lie_on_their_longer_side_and_large_ones_are_left_out() -> None:
    model = compiled(Linear(40), Linear(8000), Linear(3))
    model.build((2,))
    shown = dict(pictures_of(model.module))
    assert list(shown) == ["0.weight", "2.weight"]  # 320,000 numbers and biases are not
    assert shown["0.weight"].shape == (2, 40, 3)
    weight = model.module.state_dict()["0.weight"].numpy().astype(np.float64)
    assert (shown["0.weight"][..., 0] == stretched(weight.T)).all()


def test_filters_of_many_channels_and_single_points_are_left_out() -> None:
    model = compiled(Conv2d(4, kernel_size=1), Conv2d(5, kernel_size=3), MaxPool2d(2), Flatten(),
                     Linear(3))
    model.build((1, 8, 8))
    assert list(dict(pictures_of(model.module))) == ["4.weight"]


def test_the_first_64_filters_are_shown() -> None:
    model = compiled(Conv2d(100, kernel_size=3), Flatten(), Linear(3))
    model.build((1, 8, 8))
    assert dict(pictures_of(model.module))["0.weight"].shape == (8 * 35 + 2, 8 * 35 + 2, 3)


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (9, [0])])
def test_every_says_after_which_epochs(every, epochs, tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Images(every)), epochs=2)
    fit(*with_files(tmp_path, Images(every)), model=model, epochs=3)
    assert tags(tmp_path / "train") == {"0.weight/image": epochs, "4.weight/image": epochs}


def test_models_without_images_have_matrices_or_nothing(tmp_path: Path) -> None:
    model = compiled(Embedding(7, 2), Flatten(), Linear(3))
    fit(*with_files(tmp_path, Images(1)), model=model, x=torch.arange(12).view(12, 1) % 7)
    assert list(tags(tmp_path / "train")) == ["0.weight/image", "2.weight/image"]
    assert pictures_of(ReLU()) is not None and not list(pictures_of(built(ReLU())))


def test_parameters_in_a_list_are_found_by_their_path() -> None:
    class Two(Module):
        def build(self, shape):
            self.parts = [Parameter(torch.rand(3, 4)), Parameter(torch.rand(3))]
            return shape

    assert list(dict(pictures_of(built(Two())))) == ["parts.0"]


def built(module):
    module.build((3,))
    return module


def test_weights_that_are_not_finite_are_black() -> None:
    assert (tile([[[np.nan, 1.0, np.inf, 3.0]]])[..., 0] == [[0, 0, 0, 255]]).all()
    assert not tile([[[2.0, 2.0]]]).any() and not tile([[[np.nan]]]).any()


def test_a_run_that_is_told_again_has_no_weights(tmp_path: Path) -> None:
    fit().history.replay(with_files(tmp_path, Images(1)))
    assert not list(tmp_path.iterdir())


def test_a_run_started_again_has_each_epoch_once(tmp_path: Path) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(*with_files(tmp_path / "runs", Images(1)), *callbacks, epochs=3)

    killed_and_started_again(train, tmp_path, Dies(1, batch=1))
    assert set(map(tuple, tags(tmp_path / "runs" / "train").values())) == {(0, 1, 2)}


def test_it_leaves_training_as_it_is(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], with_files(tmp_path, Images(1))):
        torch.manual_seed(0)
        states.append(state_of(fit(*callbacks)))
    assert same(*states)


# ---- what pictures are made of ------------------------------------------------------------------


def test_a_grid_has_its_tiles_in_order() -> None:
    tiles = [np.full((2, 3, 3), number, dtype=np.uint8) for number in range(5)]
    shown = grid(tiles)
    assert shown.shape == (2 * 4 + 2, 3 * 5 + 2, 3)
    assert [int(shown[2 + 4 * (n // 3), 2 + 5 * (n % 3), 0]) for n in range(5)] == list(range(5))
    assert (shown[0] == (40, 70, 140)).all()


def test_small_tiles_are_enlarged_by_whole_pixels() -> None:
    picture = np.arange(6, dtype=np.uint8).repeat(3).reshape(2, 3, 3)
    assert enlarged(picture, 3) is not None and enlarged(picture, 3).shape == (2, 3, 3)
    assert enlarged(picture, 7).shape == (6, 9, 3)
    assert (enlarged(picture, 7)[::3, ::3] == picture).all()


def test_a_caption_lies_below_and_widens_what_is_too_narrow() -> None:
    picture = np.full((20, 10, 3), 200, dtype=np.uint8)
    narrow, wide = captioned(picture, "1 -> 2"), captioned(picture, "1234567 -> 1234567")
    assert narrow.shape[0] == wide.shape[0] == 36 and wide.shape[1] > narrow.shape[1] > 10
    assert narrow[20:].any() and not (narrow[:20] > 200).any()
    assert len({each.shape for each in padded([narrow, wide])}) == 1
