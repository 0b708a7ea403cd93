"""Every example runs, in a small version, and says and draws what its header promises."""

import importlib.util
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.gallery.small import READS_MNIST, SETTINGS
from tests.datasets.originals import real_folder

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def load(name):
    """The module of an example, made anew; `examples` is a folder of scripts, no package."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def disc(main, folder):
    main(points=60, epochs=2, picture=folder / "new" / "disc.png")
    main(all_ways=True, seeds=2, points=60, epochs=2)


def gan(main, folder):
    main(points=256, epochs=2, picture=folder / "new" / "gan.png")


def look_inside(main, folder):
    main(points=64, epochs=2, pictures=folder / "new")


def small(**settings):
    """Runs with these settings, and looks at the picture."""
    def run(main, folder):
        picture = folder / "new" / "picture.png"
        main(**settings, picture=picture)
        assert all(250 <= side <= 2000 for side in png_size(picture))
        assert picture.stat().st_size > 8_000  # an empty one takes less

    return run


def in_runs(**settings):
    """The same, with a folder for TensorBoard."""
    return lambda main, folder: small(**settings, folder=str(folder / "runs"))(main, folder)


# A new example is found by its file; here it says how to run it in seconds, writing to a folder.
SMALL = {
    "disc": disc, "gan": gan, "look_inside": look_inside,
    **{name: small(**settings) for name, settings in SETTINGS.items()
       if name not in ("disc", "gan", "look_inside", "denoise", "tensorboard_tour")},
    **{name: in_runs(**SETTINGS[name]) for name in ("denoise", "tensorboard_tour")},
}


LONG = {"digit_pairs": 210, "disc": 140, "gan": 100}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_small_version_runs(path, tmp_path):
    assert path.stem in SMALL, f"{path.name} needs a small run in SMALL"
    if path.stem in READS_MNIST and real_folder() is None:
        pytest.skip("needs MNIST's files in $KERASISH_DATA/mnist")
    SMALL[path.stem](load(path.stem).main, tmp_path)


def test_there_are_examples_and_no_small_run_without_one():
    assert EXAMPLES
    assert set(SMALL) == {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_opens_with_what_to_expect_and_where_it_was_measured(path):
    header = path.read_text(encoding="utf-8").split("import", 1)[0]
    assert header.startswith('"""')
    for promise in (f"python examples/{path.name}", "Expected:", "Time:", "AMD EPYC"):
        assert promise in header


def png_size(path):
    """Width and height, from the header of the file."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert head[12:16] == b"IHDR"
    return struct.unpack(">II", head[16:24])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_and_its_picture_is_there(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONG.get(path.stem, 90), "copy a part of it into another example"
    pictures = set(re.findall(r"\w+\.png", "\n".join(lines)))
    assert pictures and all((FOLDER / "pictures" / name).exists() for name in pictures)
    assert "TODO" not in "\n".join(lines)


def test_disc_draws_a_picture_and_prints_accuracies(tmp_path, capsys):
    picture = tmp_path / "new" / "disc.png"
    load("disc").main(points=60, epochs=2, picture=picture)
    assert all(600 <= side <= 2000 for side in png_size(picture))
    assert picture.stat().st_size > 20_000  # an empty square takes less
    output = capsys.readouterr().out
    assert "Epoch 2/2" in output
    assert re.search(r"^Accuracy: \d+\.\d % of the training points, \d+\.\d % of the test points$",
                     output, re.MULTILINE)
    assert f"Picture: {picture}" in output


def test_disc_marks_the_points_it_gets_wrong(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    scatter, marked = Axes.scatter, []

    def watched(self, x, y, **settings):
        if settings.get("facecolors") == "none":
            marked.extend(zip(x.tolist(), y.tolist(), strict=True))
        return scatter(self, x, y, **settings)

    monkeypatch.setattr(Axes, "scatter", watched)

    example = load("disc")
    model, (x, y), (_, on_test) = example.train(example.PLAIN, seed=0, points=60, epochs=2)
    example.draw(model, (x, y), on_test, tmp_path / "disc.png")
    wrong = ((model.predict(x, verbose=0) > 0) != (y > 0).numpy())[:, 0]
    assert marked == [tuple(point) for point in x[wrong].tolist()]
    assert 100 * (1 - len(marked) / 60) == pytest.approx(on_test, abs=1e-3)
    assert 0 < len(marked) < 60


def test_disc_draws_what_the_net_answers_there(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown, imshow = [], Axes.imshow

    def watched(self, field, **settings):
        shown.append((field, settings))
        return imshow(self, field, **settings)

    monkeypatch.setattr(Axes, "imshow", watched)

    class FarRight:
        def predict(self, x, **_):
            return np.where(np.asarray(x)[:, :1] > 0.9, 1.0, -1.0)

    example = load("disc")
    _, test = example.datasets.disc(train=1, test=20)
    example.draw(FarRight(), test, 50.0, tmp_path / "disc.png")
    ((field, settings),) = shown
    assert settings["extent"] == (0, 1, 0, 1)
    assert settings["origin"] == "lower"
    assert field[:, -1].min() == 1  # columns go to the right, rows go up
    assert field[:, 0].max() == field[-1, 0] == field[0, 0] == -1


def test_disc_prints_one_table_of_five_rows(capsys):
    load("disc").main(all_ways=True, seeds=2, points=60, epochs=2)
    printed = capsys.readouterr()
    header, *rows = printed.out.splitlines()
    assert header.split() == ["batch", "train", "%", "test", "%", "published", "epochs",
                              "optimizer"]
    names = ["SGD", "SGD", "SGD with momentum", "Adam", "SGD, early stopping"]
    batches = ["1", "2", "1", "10", "1"]
    published = ["98.7 / 97.5", "97.6 / 96.5", "98.7 / 97.2", "94.7 / 94.7", ""]
    spread = r"(\d+\.\d\d ± \d+\.\d\d)"
    for row, name, batch, values in zip(rows, names, batches, published, strict=True):
        assert re.fullmatch(rf"{name} +{batch} +{spread} +{spread} +{values} +2 +"
                            r"(SGD|Adam)\(.*\)", row)
    assert len(printed.err.splitlines()) == 5 * 2  # each seed of each row is told when it is done


def test_disc_table_gives_mean_and_sample_deviation(monkeypatch, capsys):
    example = load("disc")

    class Trained:
        optimizer = "SGD()"

        class history:
            epoch = (0, 1, 2)

    def trained(way, seed, points, epochs):
        return Trained, None, [90.0 + seed, 80.0 + 2 * seed]

    monkeypatch.setattr(example, "train", trained)
    example.main(all_ways=True, seeds=3)
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split() == "SGD 1 91.00 ± 1.00 82.00 ± 2.00 98.7 / 97.5 3 SGD()".split()


def test_disc_table_is_of_ten_seeds_and_100_epochs(monkeypatch):
    example, asked = load("disc"), []
    monkeypatch.setattr(example, "table", lambda *arguments: asked.append(arguments))
    example.main(all_ways=True)
    assert asked == [(10, 1000, 100)]  # seeds, points, epochs


def test_disc_stops_early_in_the_last_row_alone():
    example = load("disc")
    *plain, (_, _, _, _, more) = example.WAYS
    assert all(way[4] == {} for way in plain)
    assert more["validation_split"] == 0.1
    assert more["callbacks"].patience == 10


def test_disc_without_matplotlib_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails
    picture = tmp_path / "disc.png"
    load("disc").main(points=60, epochs=1, picture=picture)
    assert "pip install matplotlib" in capsys.readouterr().out.splitlines()[-1]
    assert not picture.exists()


def test_gan_prints_both_losses_and_draws(tmp_path, capsys):
    picture = tmp_path / "new" / "gan.png"
    load("gan").main(points=256, epochs=2, picture=picture)
    assert all(300 <= side <= 2000 for side in png_size(picture))
    output = capsys.readouterr().out
    assert re.search(r"^Epoch 2/2 - .*s - loss: \d\.\d+ - generator_loss: \d\.\d+$", output,
                     re.MULTILINE)
    assert re.search(r"^radius of made points: \d\.\d+ ± \d\.\d+ ", output, re.MULTILINE)
    assert f"Picture: {picture}" in output


def test_gan_trains_both_nets_and_leaves_no_gradient(tmp_path):
    gans, example = [], load("gan")

    class Kept(example.GAN):
        def fit(self, *arguments, **settings):
            gans.append(self)
            self.build((2,))
            nets = (self.module, self.generator)
            before = [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]
            history = super().fit(*arguments, **settings)
            for net, old in zip(nets, before, strict=True):
                assert all((old[name] != value).any() for name, value in net.state_dict().items())
            return history

    example.GAN = Kept
    example.main(points=256, epochs=2, picture=tmp_path / "gan.png")
    (gan,) = gans
    assert gan.history.history.keys() == {"loss", "generator_loss"}
    for parameter in (*gan.module.parameters(), *gan.generator.parameters()):
        assert not parameter.grad.any()


def test_gan_is_a_short_class():
    lines = (FOLDER / "gan.py").read_text(encoding="utf-8").partition("class GAN")[2]
    assert len(lines.partition("\n\n\n")[0].splitlines()) < 30
