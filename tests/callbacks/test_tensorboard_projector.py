"""The projector: the vectors of embeddings, as its own code reads them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.plugins.projector import ProjectorConfig
from tensorboard.plugins.projector import _text_format as text_format

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.projector import Projector
from kerasish.containers import Concat, Graph, Input, Parallel
from kerasish.layers import Embedding, Flatten, Linear
from tests.callbacks.pages import same, state_of, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.arange(24).view(12, 2) % 7
Y = (X.sum(1, keepdim=True) % 2).float()


def fit(*callbacks: Callback, layers=None, x=X, **arguments) -> Model:
    model = Model(*(layers or (Embedding(7, 3), Flatten(), Linear(1))), device="cpu")
    model.compile("adam", "mse")
    options = {"epochs": 3, "batch_size": 5, "verbose": 0, "seed": 1} | arguments
    model.fit(x, Y, callbacks=list(callbacks), **options)
    return model


def config(folder: Path) -> ProjectorConfig:
    return text_format.Parse((folder / "train/projector_config.pbtxt").read_text(),
                             ProjectorConfig())


def vectors(folder: Path, path: str = "0") -> np.ndarray:
    return np.loadtxt(folder / f"train/embeddings/{path}.tsv", delimiter="\t", ndmin=2,
                      dtype=np.float32)


def named(folder: Path, count: int = 7, heading: str = "") -> Path:
    path = folder / "words.tsv"
    path.write_text(heading + "".join(f"word{number}\n" for number in range(count)))
    return path


def test_the_last_state_is_that_of_the_end_to_the_bit(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Projector(2)))
    weight = model.module.state_dict()["0.weight"].numpy()
    assert (vectors(tmp_path) == weight).all() and weight.shape == (7, 3)
    (embedding,) = config(tmp_path).embeddings
    assert (embedding.tensor_name, embedding.tensor_path) == ("0.weight", "embeddings/0.tsv")
    assert list(embedding.tensor_shape) == [7, 3] and not embedding.metadata_path


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3]), (2, [0, 2, 3]), (9, [0, 3])])
def test_every_says_after_which_epochs(every, epochs, tmp_path: Path, monkeypatch) -> None:
    seen, page = [], Projector(every)
    write = page._write
    page._write = lambda: (seen.append(page.epochs), write())
    fit(*with_files(tmp_path, page), epochs=4)
    assert seen == epochs


@pytest.mark.parametrize("heading", ["", "word\tlength\n"])
def test_names_lie_beside_the_vectors(heading, tmp_path: Path) -> None:
    words = named(tmp_path, heading=heading)
    fit(*with_files(tmp_path, Projector(1, words)))
    (embedding,) = config(tmp_path).embeddings
    assert (tmp_path / "train" / embedding.metadata_path).read_text() == words.read_text()


def test_layers_of_a_graph_have_names_by_their_paths(tmp_path: Path) -> None:
    x = Input((2,))
    words = Embedding(7, 3)
    net = Graph(x, Linear(1)(Flatten()(words(x))))
    (path,) = [path for path, part in net.named_modules() if part is words]
    fit(*with_files(tmp_path, Projector(1, {path: str(named(tmp_path))})), layers=(net,))
    (embedding,) = config(tmp_path).embeddings
    assert embedding.tensor_name == f"{path}.weight" and embedding.metadata_path


def test_every_embedding_is_there(tmp_path: Path) -> None:
    both = Parallel(Embedding(7, 3), Embedding(9, 2), merge=Concat(-1))
    names = {"0.1": named(tmp_path, 9)}
    model = fit(*with_files(tmp_path, Projector(1, names)), layers=(both, Flatten(), Linear(1)))
    first, second = config(tmp_path).embeddings
    assert [first.tensor_name, second.tensor_name] == [
        "0.0.weight", "0.1.weight"]
    assert not first.metadata_path
    assert second.metadata_path == "embeddings/0.1.names.tsv"
    state = model.module.state_dict()
    assert (vectors(tmp_path, "0.1") == state["0.1.weight"].numpy()).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of packages within tensorboard
def test_the_projector_reads_the_vectors(tmp_path: Path) -> None:
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import (
        ProjectorPlugin,
        _read_tensor_tsv_file,
    )

    model = fit(*with_files(tmp_path / "runs", Projector(1, named(tmp_path))))
    folder = tmp_path / "runs" / "train"
    plugin = ProjectorPlugin(TBContext(logdir=str(folder)))
    plugin._update_configs()
    (embedding,) = plugin._configs["."].embeddings
    assert embedding.tensor_name == "0.weight"
    read = _read_tensor_tsv_file(str(folder / embedding.tensor_path))
    assert (read == model.module.state_dict()["0.weight"].numpy()).all()


def test_a_model_without_embeddings_writes_nothing_and_says_so(tmp_path: Path, capsys) -> None:
    fit(*with_files(tmp_path, Projector(1)), layers=(Linear(1),), x=X.float())
    said = capsys.readouterr().err
    assert said == ("TensorBoard(embeddings_freq) has nothing to show: the model has no Embedding."
                    "\n")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_told_again_has_no_vectors(tmp_path: Path, capsys) -> None:
    fit().history.replay(with_files(tmp_path, Projector(1)))
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


def test_a_fit_of_no_epochs_writes_nothing(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Projector(1)), epochs=0)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_once_and_training_goes_on(tmp_path: Path, capsys) -> None:
    (tmp_path / "train").write_text("a file where the folder should be")
    model = fit(*with_files(tmp_path, Projector(1)))
    said = capsys.readouterr().err
    assert said.count("TensorBoard(embeddings_freq) could not write") == 1
    assert len(model.history.epoch) == 3


@pytest.mark.parametrize(("names", "error", "message"), [
    (3, TypeError, "expects a path; got 3. Write 'words.tsv', or a Path."),
    ({0: "words.tsv"}, TypeError, "expects paths of layers as keys; got 0. Write '0'"),
    ({"0": 3}, TypeError, "for '0', expects a path; got 3"),
])
def test_what_are_no_names_is_refused_at_once(names, error, message) -> None:
    with pytest.raises(error, match=rf"^TensorBoard\(embeddings_metadata\),? ?{message}"):
        Projector(1, names)


def test_names_of_another_layer_are_refused(tmp_path: Path) -> None:
    words = named(tmp_path)
    for layer, message in (("1", "Known are '0'."), ("00", "Did you mean '0'?")):
        with pytest.raises(ValueError, match=re.escape(
                "TensorBoard(embeddings_metadata) expects paths of Embedding layers; got "
                f"{layer!r}. {message}")):
            fit(*with_files(tmp_path, Projector(1, {layer: words})))
    with pytest.raises(ValueError, match=r"got '0'\. The model has none: leave it out\."):
        fit(*with_files(tmp_path, Projector(1, {"0": words})), layers=(Linear(1),), x=X.float())


def test_another_number_of_names_is_refused(tmp_path: Path) -> None:
    for heading, ending in (("", "Write one a line."),
                            ("a\tb\n", "Write one a line, below the heading.")):
        path = named(tmp_path, 6, heading)
        with pytest.raises(ValueError, match=re.escape(
                f"expects 7 names for the vectors of Embedding(7, 3) at '0'; got 6 in "
                f"{str(path)!r}. {ending}")):
            fit(*with_files(tmp_path, Projector(1, path)))


def test_a_file_that_is_not_there_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"words\.tsv"):
        fit(*with_files(tmp_path, Projector(1, tmp_path / "words.tsv")))


def test_it_leaves_training_as_it_is(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], with_files(tmp_path, Projector(1))):
        torch.manual_seed(0)
        states.append(state_of(fit(*callbacks)))
    assert same(*states)


def test_a_run_started_again_ends_with_the_same_vectors(tmp_path: Path) -> None:
    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        fit(*with_files(folder / "runs", Projector(1)), *callbacks)

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", Dies(1, batch=1))
    assert (vectors(tmp_path / "whole/runs") == vectors(tmp_path / "again/runs")).all()
