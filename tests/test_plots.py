"""Pictures of a history: what they show, as matplotlib sees it, and what they leave alone."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kerasish.callbacks import History
from kerasish.plots import Panel, curves, save_picture

ROOT = Path(__file__).parent.parent


def history(*epochs: dict, **directions: bool) -> History:
    made = History()
    for epoch, logs in enumerate(epochs):
        made.on_epoch_end(epoch, logs)
    made.directions = directions
    return made


def panels(figure) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """What a picture shows: name → label → points."""
    return {
        axes.get_ylabel(): {
            line.get_label(): list(zip(*(map(float, each) for each in line.get_data()),
                                       strict=True))
            for line in axes.get_lines()
        }
        for axes in figure.axes
    }  # fmt: skip


def test_training_and_validation_share_a_panel_and_epochs_are_counted_from_1() -> None:
    run = history({"loss": 3.0, "mae": 1.0}, {"loss": 2.0, "mae": 0.5, "val_loss": 4.0})
    assert panels(run.plot()) == {
        "loss": {"training": [(1, 3.0), (2, 2.0)], "validation": [(2, 4.0)]},
        "mae": {"training": [(1, 1.0), (2, 0.5)]},
    }  # fmt: skip


def test_axes_are_labelled_and_lines_told_apart() -> None:
    first, second = history({"loss": 3.0, "val_loss": 2.0, "mae": 1.0}).plot().axes
    assert {axes.get_xlabel() for axes in (first, second)} == {"epoch"}
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["training",
                                                                            "validation"]
    assert second.get_legend() is None
    assert len({line.get_color() for line in first.get_lines()}) == 2


def test_ticks_are_whole_epochs_that_there_are() -> None:
    for count in (1, 2, 7, 60):
        figure = history(*({"loss": 1.0 / (epoch + 1)} for epoch in range(count))).plot()
        figure.draw_without_rendering()
        low, high = figure.axes[0].get_xlim()
        shown = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
        assert shown and all(tick == int(tick) and 1 <= tick <= count for tick in shown)


@pytest.mark.parametrize(("values", "higher_is_better", "scale"), [
    ((10.0, 0.05), None, "log"), ((10.0, 0.2), None, "linear"), ((10.0, 0.05), False, "log"),
    ((10.0, 0.05), True, "linear"), ((10.0, -0.05), None, "linear"), ((10.0, 0.0), None, "linear"),
    ((10.0, math.nan, 0.05), None, "log"), ((math.nan,), None, "linear"),
], ids=str)  # fmt: skip
def test_losses_that_span_decades_get_a_logarithmic_axis(values, higher_is_better, scale) -> None:
    run = history(*({"own": value} for value in values))
    run.directions = {"own": higher_is_better}
    assert run.plot().axes[0].get_yscale() == scale


def test_what_is_not_finite_is_a_gap() -> None:
    ((_, first), (_, second), (_, third)) = panels(
        history({"loss": 1.0}, {"loss": math.inf}, {"loss": 2.0}).plot())["loss"]["training"]
    assert (first, third) == (1.0, 2.0) and math.isnan(second)


def test_a_cross_marks_what_is_not_finite() -> None:
    (axes,) = history({"loss": 1.0}, {"loss": math.inf}, {"loss": math.nan}).plot().axes
    line, crosses = axes.lines
    assert line.get_marker() == "o" and crosses.get_marker() == "x"
    assert list(crosses.get_xdata()) == [2, 3]
    assert crosses.get_label() == "training, not finite" and axes.get_legend() is not None


def test_names_choose_panels_in_their_order() -> None:
    run = history({"loss": 3.0, "mae": 1.0, "val_mae": 2.0, "own": torch.tensor(3.0)})
    assert list(panels(run.plot(names="mae"))) == ["mae"]
    assert list(panels(run.plot(names=["own", "loss"]))) == ["own", "loss"]
    assert panels(run.plot(names=())) == {}


def test_arrays_and_notes_are_left_out_and_refused_by_name() -> None:
    run = history({"loss": 1.0, "matrix": torch.ones(2, 2), "note": "good", "none": None})
    assert list(panels(run.plot())) == ["loss"]
    for name, part in (("matrix", "'loss'"), ("lss", "Did you mean 'loss'?"), ("val_loss", "loss")):
        with pytest.raises(ValueError, match=r"History.plot\(names\) expects names that") as caught:
            run.plot(names=name)
        assert repr(name) in str(caught.value) and part in str(caught.value)


def test_a_history_of_nothing_is_an_empty_picture(tmp_path: Path) -> None:
    assert panels(History().plot(tmp_path / "empty.png")) == {}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_no_panel_hides_another(count: int) -> None:
    figure = history({f"name{index}": 1.0 for index in range(count)}).plot()
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert len(boxes) == count
    assert not any(one.overlaps(other) for index, one in enumerate(boxes)
                   for other in boxes[:index])


@pytest.mark.parametrize(("name", "begins"), [
    ("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("new/a.svg", b"<?xml"),
])  # fmt: skip
def test_the_name_says_the_format(name: str, begins: bytes, tmp_path: Path) -> None:
    figure = history({"loss": 1.0}, {"loss": 0.5}).plot(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert panels(figure)["loss"], "it is returned as well"
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [name.split("/")[-1]]


@pytest.mark.parametrize("name", ["plot", "plot.txt"])
def test_a_name_that_says_no_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"History.plot\(path\) expects a name that ends in .*png"):
        history({"loss": 1.0}).plot(tmp_path / name)


def test_a_picture_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        history({"loss": 1.0}).plot(tmp_path / "file" / "a.png")
    assert str(tmp_path / "file" / "a.png") in str(caught.value)


def test_pyplot_and_its_settings_are_left_alone(tmp_path: Path) -> None:
    program = (
        "import sys, matplotlib\n"
        "before = matplotlib.rcParams.copy()\n"
        "from kerasish.plots import Panel, curves, save_picture\n"
        "figure = curves([Panel('loss', {'training': ([1, 2], [3.0, 2.0])})])\n"
        f"save_picture('x', figure, {str(tmp_path / 'a.png')!r}, 'a.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'kerasish\[plots\]'"):
        curves([Panel("loss", {"training": ([1], [1.0])})])


def test_what_is_no_path_is_refused_with_the_name_of_a_picture() -> None:
    with pytest.raises(TypeError, match=r"History.plot\(path\) expects .* 3. Write 'history.png'"):
        save_picture("History.plot(path)", None, 3, "history.png")
