"""The picture of a net: well-formed, nothing over anything else, all that matters in it."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import kerasish
from kerasish import Model, Module, Sequential
from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Parallel,
    Pick,
    Recompute,
    Residual,
    Shared,
)
from kerasish.insight import plot_model
from kerasish.layers import (
    LSTM,
    BatchNorm2d,
    Conv2d,
    Embedding,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)

SVG = "{http://www.w3.org/2000/svg}"
Rectangle = tuple[float, float, float, float]


def two_eyes() -> Module:
    left, right = Input((1, 28, 28)), Input((1, 28, 28))
    eye = Sequential(Conv2d(8, kernel_size=3), ReLU(), MaxPool2d(4), Flatten(), Linear(32), ReLU())
    seen_left, seen_right = eye(left), eye(right)
    digit, larger = Linear(10)(seen_left), Linear(1)(Concat()((seen_left, seen_right)))
    return Graph({"left": left, "right": right}, {"digit": digit, "larger": larger})


def convolutions(channels: int, stride: int = 1) -> Sequential:
    return Sequential(Conv2d(channels, kernel_size=3, stride=stride, padding=1, bias=False),
                      BatchNorm2d(), ReLU(), Conv2d(channels, kernel_size=3, padding=1))


def residual() -> Module:
    shortcut = Sequential(Conv2d(8, kernel_size=1, stride=2), BatchNorm2d())
    return Sequential(Conv2d(4, kernel_size=3), Residual(convolutions(4)), ReLU(),
                      Residual(convolutions(8, 2), shortcut), GlobalAvgPool(), Linear(10))


def dense() -> Module:
    """Every layer sees all that come before it."""
    seen = [Input((8,))]
    for _ in range(6):
        seen.append(ReLU()(Linear(8)(Concat()(tuple(seen)))))
    return Graph(seen[0], Add()((seen[-1], seen[1], seen[3])))


def inception() -> Module:
    branches = Parallel(Conv2d(2, kernel_size=1), Sequential(Conv2d(3, kernel_size=1), ReLU()),
                        Residual(Sequential(ReLU(), ReLU(), Residual(ReLU()))), merge=Concat())
    return Sequential(branches, Recompute(Residual(Sequential(Conv2d(7, kernel_size=1), Tanh()))))


def crossed() -> Module:
    """Two inputs and two outputs, the wrong way round."""
    x = [Input((3,)) for _ in range(4)]
    h = [Linear(3)(each) for each in x]
    deep = Sequential(Linear(3), ReLU(), Linear(3))
    return Graph(tuple(x), (Add()((h[3], h[0])), deep(h[2]), Add()((deep(h[1]), h[3], x[0]))))


def words() -> Module:
    layer = TransformerEncoderLayer(nhead=4, dim_feedforward=32)
    return Sequential(Embedding(50, 16), TransformerEncoder(layer, 3, LayerNorm()),
                      LSTM(8, return_state=True), Pick(0), Linear(5))


NETS: dict[str, tuple[Callable[[], Module], object]] = {
    "three modules": (lambda: Sequential(Linear(25), Tanh(), Linear(1)), (2,)),
    "sixty modules": (lambda: Sequential([ReLU() if n % 2 else Linear(4) for n in range(60)]),
                      (4,)),
    "one module": (lambda: Linear(3), (2,)),
    "none": (Sequential, (2,)),
    "two eyes": (two_eyes, {"left": (1, 28, 28), "right": (1, 28, 28)}),
    "residual": (residual, (3, 18, 18)),
    "dense": (dense, (8,)),
    "inception": (inception, (2, 4, 4)),
    "crossed": (crossed, ((3,), (3,), (3,), (3,))),
    "transformer": (words, (12,)),
    "shared": (lambda: Sequential(Shared(Residual(Linear(3))), Concat()), ((3,), (3,), (3,))),
    "deep": (lambda: Residual(Residual(Residual(Residual(Sequential(Sequential(ReLU())))))), (3,)),
    "wide": (lambda: Parallel([Linear(2) for _ in range(12)], merge=Concat()), (3,)),
}  # fmt: skip


def drawn(name: str, **settings: bool) -> ElementTree.Element:
    make, shape = NETS[name]
    module = make()
    module.build(shape)
    return ElementTree.fromstring(plot_model(module, **settings))


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def rectangles(picture: ElementTree.Element) -> list[tuple[str, Rectangle]]:
    """Look, left, top, right, bottom of each box and frame."""
    found = []
    for each in picture.iter(f"{SVG}rect"):
        if each.get("class") != "page":
            left, top, width, height = (float(each.get(name)) for name in
                                        ("x", "y", "width", "height"))
            found.append((each.get("class"), (left, top, left + width, top + height)))
    return found


def within(one: Rectangle, other: Rectangle) -> bool:
    return (one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2]
            and one[3] <= other[3])


def apart(one: Rectangle, other: Rectangle) -> bool:
    return (one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1])


def points(way: str) -> Iterator[tuple[float, float]]:
    """Points along a path, close to each other."""
    x = y = 0.0
    for letter, numbers in re.findall(r"([MVC])([^MVC]*)", way):
        values = [float(each) for each in numbers.split()]
        if letter == "M":
            x, y = values
        elif letter == "V":
            yield from ((x, y + (values[0] - y) * step / 200) for step in range(201))
            y = values[0]
        else:
            x1, y1, x2, y2, x3, y3 = values
            for step in range(101):
                t = step / 100
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                yield tuple(sum(map(float.__mul__, weights, each))
                            for each in ((x, x1, x2, x3), (y, y1, y2, y3)))
            x, y = x3, y3


@pytest.mark.parametrize("shapes", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_boxes_never_overlap_and_lie_in_their_frames(name: str, shapes: bool) -> None:
    picture = drawn(name, show_shapes=shapes)
    found = rectangles(picture)
    page = (0.0, 0.0, float(picture.get("width")), float(picture.get("height")))
    assert found and all(within(each, page) for _, each in found)
    for (look, one), (other_look, other) in itertools.combinations(found, 2):
        inside = (look == "frame" and within(other, one)) or (
            other_look == "frame" and within(one, other))
        assert apart(one, other) or inside, (one, other)


@pytest.mark.parametrize("shapes", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_no_arrow_goes_through_a_box(name: str, shapes: bool) -> None:
    picture = drawn(name, show_shapes=shapes)
    boxes = [each for look, each in rectangles(picture) if look != "frame"]
    lines = [each for each in picture.iter(f"{SVG}path") if each.get("class") == "line"]
    assert len(lines) >= len(boxes) - 1
    for line in lines:
        for x, y in points(line.get("d")):
            assert not any(left + 1 < x < right - 1 and top + 1 < y < bottom - 1
                           for left, top, right, bottom in boxes), (x, y)


@pytest.mark.parametrize("name", NETS)
def test_every_arrow_ends_at_a_box_and_every_box_is_reached(name: str) -> None:
    picture = drawn(name)
    heads = [tuple(map(float, re.match(r"M([\d.]+) ([\d.]+)", each.get("d")).groups()))
             for each in picture.iter(f"{SVG}path") if each.get("class") == "head"]
    boxes = [each for look, each in rectangles(picture) if look != "frame"]
    for x, y in heads:
        assert any(left < x < right and abs(y - top) < 0.2 for left, top, right, _ in boxes)
    starts = sum(not any(left < x < right and abs(y - top) < 0.2 for x, y in heads)
                 for left, top, right, _ in boxes)
    inputs = len(NETS[name][1]) if isinstance(NETS[name][1], dict) or (
        isinstance(NETS[name][1][0], tuple)) else 1
    assert starts == inputs


@pytest.mark.parametrize("name", NETS)
def test_words_fit_into_their_boxes(name: str) -> None:
    for group in drawn(name).iter(f"{SVG}g"):
        (box,), words = group.findall(f"{SVG}rect"), group.findall(f"{SVG}text")
        left, width = float(box.get("x")), float(box.get("width"))
        for each in words:
            spans = [(float(span.get("font-size", each.get("font-size"))), span.text or "")
                     for span in each.iter()]
            length = sum(0.6 * size * len(text) for size, text in spans)
            assert length <= width
            if each.get("text-anchor") == "middle":
                assert float(each.get("x")) == pytest.approx(left + width / 2, abs=0.11)


def test_what_is_written_is_known() -> None:
    assert texts(drawn("three modules")) == [
        "(N, 2)", "(N, 25)", "(N, 25)", "(N, 1)", "input", "0 Linear(25)", "75 parameters",
        "1 Tanh()", "2 Linear(1)", "26 parameters", "output"]
    bare = texts(drawn("three modules", show_shapes=False, show_layer_names=False))
    assert bare == ["input", "Linear(25)", "75 parameters", "Tanh()", "Linear(1)",
                    "26 parameters", "output"]


def test_branches_stand_side_by_side_and_the_merge_below_them() -> None:
    module = Parallel(Linear(2), Linear(3), merge=Concat())
    module.build((4,))
    (_, first), (_, second), (look, merge) = rectangles(
        ElementTree.fromstring(plot_model(module)))[1:4]
    assert first[1] == second[1] and first[2] < second[0]
    assert look == "joins" and merge[1] > first[3]


def test_containers_are_frames_around_what_they_hold() -> None:
    found = rectangles(drawn("residual"))
    frames = [each for look, each in found if look == "frame"]
    assert len(frames) == 5, "two residuals, two bodies, one shortcut"
    assert sum(within(one, other) for one, other in itertools.permutations(frames, 2)) == 3
    folded = rectangles(drawn("residual", expand_nested=False))
    assert len(folded) == 8 and "frame" not in [look for look, _ in folded]


def test_a_module_that_is_called_twice_says_so() -> None:
    written = texts(drawn("two eyes"))
    assert {"call 1 of 2", "call 2 of 2"} <= set(written)
    assert written.count("80 parameters, shared") == 2
    assert {"left", "right", "digit", "larger"} <= set(written)


def test_tied_and_frozen_parameters_say_so() -> None:
    net = Sequential(Linear(3), Linear(3), Linear(1))
    net.build((3,))
    net[1].weight = net[0].weight
    net[1].bias.trainable = net[2].trainable = False
    written = texts(ElementTree.fromstring(plot_model(net)))
    assert [each for each in written if "parameter" in each] == [
        "12 parameters, shared with 1", "12 parameters, shared with 0, partly frozen",
        "4 parameters, frozen"]


def test_before_build_shapes_that_are_not_known_are_question_marks() -> None:
    written = texts(ElementTree.fromstring(plot_model(Model(Linear(2, 8), ReLU(), device="cpu"))))
    assert written == ["?", "?", "?", "input", "0 Linear(2, 8)", "1 ReLU()", "output"]


class Hostile(Module):
    """A module whose texts are written to break the picture."""

    formula = 'y = x < 1 && "x" > \'0\' ]]> \x00\ud800'

    def __repr__(self) -> str:
        return "Hostile</text><script>alert(1)</script>&amp;\x07\uffff漢字 é " + "long" * 50


def test_hostile_names_stay_text() -> None:
    x = Input((2,))
    net = Graph({"<a&b>\x1b": x}, {'"]]><svg onload="x">': Hostile()(x), "\ud800": Linear(2)(x)})
    net.build({"<a&b>\x1b": (2,)})
    picture = plot_model(net)
    parsed = ElementTree.fromstring(picture)
    assert {each.tag for each in parsed.iter()} == {
        SVG + name for name in ("svg", "title", "style", "rect", "path", "g", "text", "tspan")}
    assert "<a&b>\ufffd" in texts(parsed) and "<script" not in picture
    assert not [each for each in parsed.iter() for name in each.keys() if name.startswith("on")]
    picture.encode()


def test_a_picture_is_the_same_each_time_and_shows_itself(tmp_path: Path) -> None:
    first, second = (plot_model(Sequential(residual())) for _ in range(2))
    assert first == second and first._repr_svg_() == str(first)
    assert kerasish.plot_model is plot_model


def test_it_reads_on_dark_and_on_light() -> None:
    style = drawn("three modules").find(f"{SVG}style").text
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    looks = set(re.findall(r"\.(\w+)[{,]", light))
    assert looks == set(re.findall(r"\.(\w+)[{,]", dark)) and "page" in looks
    rules = re.findall(r"^[.\w].*{", style, re.MULTILINE)
    assert all(part.startswith((".kerasish-net ", "@media")) for rule in rules
               for part in rule.split(","))


def test_the_picture_in_the_readme_is_what_is_drawn() -> None:
    path = Path(__file__).parent.parent.parent / "examples" / "pictures" / "graph.svg"
    module = two_eyes()
    module.build({"left": (1, 28, 28), "right": (1, 28, 28)})
    assert path.read_text(encoding="utf-8") == plot_model(module), "draw it anew"


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "net.SVG"
    picture = plot_model(two_eyes(), path)
    assert path.read_bytes() == picture.encode()
    assert [each.name for each in path.parent.iterdir()] == ["net.SVG"]


@pytest.mark.parametrize("name", ["net.png", "net", "svg", "net.svg.gz"])
def test_a_file_of_another_kind_is_refused_before_anything_is_written(name, tmp_path) -> None:
    stem = str(tmp_path / name).removesuffix(".png").removesuffix(".gz")
    stem = stem.removesuffix(".svg") if name.endswith(".gz") else stem
    with pytest.raises(ValueError, match=r"plot_model\(to_file\) expects a name that ends in "
                                         r"\.svg; got .*Write '.*\.svg'"):
        plot_model(Linear(1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(TypeError, match=r"plot_model\(model\) expects a Model or a module; got 3"):
        plot_model(3)
    with pytest.raises(ValueError, match=r"plot_model\(show_shapes\) expects True or False"):
        plot_model(Linear(1), show_shapes="yes")
    with pytest.raises(TypeError, match=r"plot_model\(to_file\) expects a path; got 3"):
        plot_model(Linear(1), 3)


def test_nothing_of_the_model_changes() -> None:
    model = Model(two_eyes(), device="cpu")
    model.build({"left": (1, 28, 28), "right": (1, 28, 28)})
    model.compile("adam", loss={"digit": "cross_entropy", "larger": "bce"})
    state, drawn_from = model.module.state_dict(), torch.get_rng_state()
    kept = [dict(vars(part)) for part in model.module.modules()]
    plot_model(model)
    assert torch.equal(drawn_from, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.module.state_dict().items())
    assert kept == [dict(vars(part)) for part in model.module.modules()]
