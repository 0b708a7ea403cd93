"""Pictures of what a net answers: what is in them, that nothing is left behind, what is refused."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from kerasish import Model, find_batch_size, lr_find
from kerasish.insight import plot_confusion_matrix, plot_decision_boundary
from kerasish.layers import Dropout, Identity, Linear, Tanh
from kerasish.losses import CrossEntropy
from tests.traces import everything


def counts_in(figure):
    """The numbers in the squares of a confusion matrix."""
    texts = [text.get_text() for text in figure.axes[0].texts]
    side = int(len(texts) ** 0.5)
    return np.array(list(map(float, texts))).reshape(side, side)


def answering(loss, last=None):
    """A net that answers its input, with a loss."""
    model = Model(Identity(), last or Identity(), device="cpu")
    model.compile("sgd", loss=loss)
    return model


def test_a_confusion_matrix_has_the_counts_of_scikit_learn():
    y_pred, y = torch.randn(200, 4), torch.randint(0, 4, (200,))
    figure = plot_confusion_matrix(answering("cross_entropy"), y_pred, y, names="abcd")
    assert np.array_equal(counts_in(figure), confusion_matrix(y, y_pred.argmax(1)))
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list("abcd")
    right = (y_pred.argmax(1) == y).float().mean()
    assert axes.get_title() == f"{right:.1%} of 200 right"


def test_names_may_be_said_by_number_in_any_order():
    model, y = answering("cross_entropy"), torch.tensor([0, 1, 2])
    names = {2: "apple", 0: "cherry", 1: "pear"}  # neither in the order of numbers nor of letters
    axes = plot_confusion_matrix(model, torch.eye(3), y, names=names).axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["cherry", "pear", "apple"]


@pytest.mark.parametrize(("loss", "last", "no", "yes", "threshold"), [
    ("mse", Tanh, -1.0, 1.0, 0.0), ("bce", None, 0.0, 1.0, 0.0), ("mse", None, 0.0, 1.0, 0.5)])
def test_yes_and_no_are_read_as_the_loss_and_the_last_module_say(loss, last, no, yes, threshold):
    y_pred = torch.linspace(-2, 2, 40).view(40, 1)
    y = torch.where(torch.arange(40) % 3 == 0, yes, no)
    figure = plot_confusion_matrix(answering(loss, last and last()), y_pred, y)
    assert np.array_equal(counts_in(figure), confusion_matrix(y == yes, y_pred[:, 0] > threshold))


def test_what_the_loss_ignores_does_not_count():
    y_pred, y = torch.eye(3).repeat(2, 1), torch.tensor([0, 1, 2, -100, -100, 0])
    counts = counts_in(plot_confusion_matrix(answering(CrossEntropy(ignore_index=-100)), y_pred, y))
    assert counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]


def test_a_boundary_is_where_the_answer_changes():
    model = Model(Linear(2, bias=False), device="cpu")
    model.compile("sgd", loss="cross_entropy")
    model.build((2,))
    model.module.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.1]])
    figure = plot_decision_boundary(model, x, torch.tensor([1, 0, 1, 1]), names=("low", "high"),
                                    axis_names=("width", "height"), resolution=50)
    axes = figure.axes[0]
    cells = np.asarray(axes.images[0].get_array())
    assert cells.shape == (50, 50)
    rows, columns = np.indices(cells.shape)
    off = rows != columns  # on the diagonal both are alike
    assert np.array_equal(cells[off], (rows > columns)[off])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["low", "high", "1 wrong"] and axes.get_title() == "75.0% of 4 right"
    (wrong,) = [each for each in axes.collections if each.get_label() == "1 wrong"]
    assert np.allclose(wrong.get_offsets(), [[0.9, 0.1]])


def test_pictures_are_saved_whole(tmp_path):
    model, x, y = answering("cross_entropy"), torch.randn(20, 2), torch.arange(20) % 2
    plot_confusion_matrix(model, x, y, tmp_path / "c.png")
    plot_decision_boundary(model, x, y, tmp_path / "b.svg", resolution=9)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(("draw", "example"), [
    (plot_confusion_matrix, "confusion.png"), (plot_decision_boundary, "boundary.png")])
def test_a_name_without_a_format_is_refused_with_one_of_this_picture(draw, example, tmp_path):
    model, x, y = answering("cross_entropy"), torch.randn(20, 2), torch.arange(20) % 2
    message = rf"{draw.__name__}\(path\) expects a name that ends .* Write '{example}', for"
    with pytest.raises(ValueError, match=message):
        draw(model, x, y, tmp_path / "c.doc")


def of_classes(names):
    """The boundary of a net that answers its input's angle, with a class for each name."""
    turns = torch.arange(len(names)) * (2 * torch.pi / len(names))
    model = Model(Linear(len(names), bias=False), device="cpu")
    model.compile("sgd", loss="cross_entropy")
    model.build((2,))
    model.module.load_state_dict({"weight": torch.stack([turns.cos(), turns.sin()], 1)})
    x = torch.randn(300, 2)
    return plot_decision_boundary(model, x, torch.arange(300) % len(names), names=names,
                                  resolution=60)


@pytest.mark.parametrize("names", [
    [f"a rather long class name {number}" for number in range(6)],
    [f"class {number}" for number in range(20)], ["a", "no" * 100], list(map(str, range(40))),
], ids=["long", "20", "endless", "40"])  # fmt: skip
def test_the_legend_stays_in_the_picture(names):
    figure = of_classes(names)
    figure.draw_without_rendering()
    box, (legend,) = figure.bbox, figure.legends
    inside = legend.get_window_extent()
    assert box.x0 <= inside.x0 and inside.x1 <= box.x1
    assert box.y0 <= inside.y0 and inside.y1 <= box.y1
    assert not inside.overlaps(figure.axes[0].get_tightbbox())
    plane = figure.axes[0].get_window_extent()
    assert plane.height > 0.7 * plane.width


def test_of_many_classes_the_title_says_how_many():
    for count, named in ((20, True), (21, False)):
        figure = of_classes(list(map(str, range(count))))
        assert len(figure.legends[0].get_texts()) == (count if named else 0) + 1
        assert figure.axes[0].get_title().endswith("right" if named else ", 21 classes")


@pytest.mark.parametrize("count", [2, 8, 9, 20, 21, 40])
def test_no_two_classes_have_one_colour(count):
    axes = of_classes(list(map(str, range(count)))).axes[0]
    points = [each for each in axes.collections if len(each.get_facecolor()) == 1]
    assert len({tuple(each.get_facecolor()[0]) for each in points}) == count
    assert len(set(map(tuple, axes.images[0].cmap(range(count))))) == count


@pytest.mark.parametrize("draw", [plot_confusion_matrix, plot_decision_boundary])
def test_they_leave_no_trace(draw):
    model = Model(Linear(8), Dropout(0.5), Linear(3), device="cpu")
    model.compile("adam", loss="cross_entropy")
    x, y = torch.randn(20, 2), torch.arange(20) % 3
    before = everything(model)
    draw(model, x, y)
    assert everything(model) == before and not model.built
    model.fit(x, y, verbose=0)
    before = everything(model)
    draw(model, x, y)
    with pytest.raises(ValueError):
        draw(model, x, y[:4])
    assert everything(model) == before


def several():
    model = Model(Identity(), device="cpu")
    model.compile("sgd", loss={"a": "mse", "b": "mse"})
    return model


X, Y = torch.randn(6, 2), torch.arange(6) % 2


@pytest.mark.parametrize(("draw", "make", "x", "y", "more", "message"), [
    (plot_confusion_matrix, lambda: Model(Linear(2)), X, Y, {}, "expects a compiled model"),
    (plot_decision_boundary, lambda: Model(Linear(2)), X, Y, {}, "expects a compiled model"),
    (plot_confusion_matrix, several, X, Y, {},
     r"plot_confusion_matrix\(model\) expects a model with one output"),
    (plot_confusion_matrix, lambda: answering("cross_entropy"), X, Y + 1, {},
     r"plot_confusion_matrix\(y\) expects classes from 0 to 1; got 2"),
    (plot_confusion_matrix, lambda: answering("cross_entropy"), X, Y[:3], {},
     r"plot_confusion_matrix\(y\) expects a target for each sample; got 3 for 6"),
    (plot_confusion_matrix, lambda: answering("cross_entropy"), X, Y, {"names": ["a"]},
     r"plot_confusion_matrix\(names\) expects 2 names; got \['a'\]"),
    (plot_confusion_matrix, lambda: answering("cross_entropy"), X, Y, {"names": {1: "a", 2: "b"}},
     r"plot_confusion_matrix\(names\) expects a name for each of \[0, 1\]; got {1: 'a', 2: 'b'}"),
    (plot_confusion_matrix, lambda: answering("mse"), X[:, :1], Y / 4, {},
     r"plot_confusion_matrix\(y\) expects yes and no, .*; got 0.25. Make classes .*BinaryAccuracy"),
    (plot_decision_boundary, lambda: answering("mse"), X, X.sign() * Y[:, None], {},
     r"plot_decision_boundary\(y\) expects yes and no, .* with a loss of numbers; got "),
    (plot_decision_boundary, lambda: answering("cross_entropy"), torch.randn(6, 3), Y, {},
     r"plot_decision_boundary\(x\) expects samples of two features, \(N, 2\); got shape \(6, 3\)"),
    *((draw, lambda: answering("cross_entropy"), X[:0], Y[:0], {},
       rf"^{draw.__name__}\(x\) expects at least one sample; got none. Check how x was selected")
      for draw in (plot_confusion_matrix, plot_decision_boundary)),
    (plot_decision_boundary, lambda: answering("cross_entropy"), X * float("nan"), Y, {},
     r"plot_decision_boundary\(x\) expects finite features; got NaN or infinite ones"),
    (plot_decision_boundary, lambda: answering("cross_entropy"), X, Y, {"axis_names": "abc"},
     r"plot_decision_boundary\(axis_names\) expects 2 names"),
    (plot_decision_boundary, lambda: answering("cross_entropy"), X, Y, {"resolution": 1},
     r"plot_decision_boundary\(resolution\) expects"),
])  # fmt: skip
def test_what_they_refuse(draw, make, x, y, more, message):
    with pytest.raises((ValueError, RuntimeError), match=message):
        draw(make(), x, y, **more)


@pytest.mark.parametrize("call", [lr_find, find_batch_size, plot_confusion_matrix,
                                  plot_decision_boundary])
@pytest.mark.parametrize(("given", "what"), [
    ((X, Y), r"Tensor of shape \(6, 2\)"), ((Linear(3), X, Y), "Linear"), (([[1.0]], Y), "list")])
def test_what_is_no_model_is_refused_at_the_door(call, given, what):
    filled = (*given, None)[:3]
    name = call.__name__
    with pytest.raises(TypeError, match=rf"^{name}\(model\) expects a Model; got a {what}\. "
                                        rf"Write {name}\(model, x, y\)\.$"):
        call(*filled)


def test_without_matplotlib_they_say_what_to_install():
    program = (
        "import sys\n"
        "sys.modules['matplotlib.figure'] = None\n"
        "from kerasish import Model\n"
        "from kerasish.insight import plot_confusion_matrix\n"
        "from kerasish.layers import Identity\n"
        "model = Model(Identity())\n"
        "model.compile('sgd', loss='cross_entropy')\n"
        "try:\n    plot_confusion_matrix(model, [[0.0, 1.0]], [1])\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'kerasish[plots]'" in done.stdout, done.stderr
