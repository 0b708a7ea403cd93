"""The real TensorBoard, asked over HTTP: each kind of thing that is written can be read back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tensorboard import runs
from tests.tensorboard.serving import Server, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("runs")
    runs.images(folder / "images")
    runs.words(folder / "words")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        server.wait_for(lambda: len(server.ask("runs") or ()) >= 4)
        yield server


def tags(server: Server, plugin: str, run: str = "images/train") -> set[str]:
    """The tags of a run that a plugin knows, once it knows any."""
    return set(server.wait_for(lambda: (server.ask(f"plugin/{plugin}/tags") or {}).get(run)))


def test_every_run_is_listed(server: Server) -> None:
    assert set(server.ask("runs")) >= {
        "images/train", "images/validation", "images/graph_backward", "words/train"}


def test_scalars(server: Server) -> None:
    found = tags(server, "scalars")
    assert {"epoch_loss", "epoch_accuracy", "epoch_learning_rate", "batch_loss",
            "epoch_steps_per_second", "0/gradient_norm", "0/update_ratio",
            "0/learning_rate"} <= found  # fmt: skip
    points = server.ask("plugin/scalars/scalars", run="images/train", tag="epoch_loss")
    assert [step for _, step, _ in points] == [0, 1, 2]
    assert {"epoch_loss", "epoch_accuracy"} <= tags(server, "scalars", "images/validation")


def test_histograms(server: Server) -> None:
    found = tags(server, "histograms")
    assert {"0.weight/histogram", "0.weight/gradient/histogram", "0/activation/histogram",
            "4.bias/histogram", "1/activation/histogram"} <= found  # fmt: skip
    sets = server.ask("plugin/histograms/histograms", run="images/train", tag="0.weight/histogram")
    assert [step for _, step, _ in sets] == [0, 1, 2]
    counts = [count for _, _, buckets in sets for _, _, count in buckets]
    assert sum(counts) == pytest.approx(3 * 4 * 9)


@pytest.mark.parametrize("run", ["images/train", "images/graph_backward"])
def test_graphs(server: Server, run: str) -> None:
    info = server.wait_for(lambda: (server.ask("plugin/graphs/info") or {}).get(run))
    assert info["run_graph"]
    graph = server.ask("plugin/graphs/graph", run=run, limit_attr_size=1024, large_attrs_key="_x")
    text = graph.decode()
    assert "Conv2d" in text and "Linear" in text


def test_images(server: Server) -> None:
    found = tags(server, "images")
    assert any(tag.startswith("0.weight") for tag in found)
    (tag,) = [tag for tag in found if tag.startswith("0.weight")]
    listed = server.ask("plugin/images/images", run="images/train", tag=tag)
    picture = server.ask(f"plugin/images/individualImage?{listed[-1]['query']}")
    assert picture.startswith(b"\x89PNG")
    assert tags(server, "images", "images/validation")


def test_text(server: Server) -> None:
    (tag, *_) = sorted(tags(server, "text"))
    (event, *_) = server.ask("plugin/text/text", run="images/train", tag=tag)
    assert "<" in event["text"]


def test_precision_and_recall(server: Server) -> None:
    found = tags(server, "pr_curves", "images/validation")
    curves = server.ask("plugin/pr_curves/pr_curves", tag=sorted(found)[0],
                        run="images/validation")
    assert len(curves["images/validation"]) == 3
    assert len(curves["images/validation"][0]["precision"]) > 10


def test_hparams(server: Server) -> None:
    experiment = server.wait_for(lambda: server.ask("plugin/hparams/experiment", {}))
    assert {each["name"] for each in experiment["hparamInfos"]} >= {"channels"}
    found = server.ask("plugin/hparams/session_groups", {
        "allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0, "sliceSize": 10,
        "colParams": []})
    (group,) = found["sessionGroups"]
    assert group["hparams"]["channels"] == 4 and group["sessions"][0]["status"] == "STATUS_SUCCESS"
    found = {each["name"]["tag"]: each["value"] for each in group["metricValues"]}
    assert {"final/loss", "final/val_accuracy"} <= set(found), found


def test_the_projector(server: Server) -> None:
    listed = server.wait_for(lambda: server.ask("plugin/projector/runs"))
    run = next(each for each in listed if "words" in each)
    config = server.ask("plugin/projector/info", run=run)
    (embedding,) = config["embeddings"]
    assert embedding["tensorShape"] == [20, 5]
    vectors = server.ask("plugin/projector/tensor", run=run, name=embedding["tensorName"],
                         num_rows=100)
    assert len(vectors) == 20 * 5 * 4


def test_a_trace_can_be_read_by_viewers_of_chrome(folder: Path, server: Server) -> None:
    import json

    (path,) = folder.glob("images/train/plugins/profile/**/*.pt.trace.json")
    events = json.loads(path.read_text())["traceEvents"]
    assert any("Conv2d" in str(event.get("name")) for event in events)
