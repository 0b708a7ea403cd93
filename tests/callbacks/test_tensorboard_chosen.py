"""Which pages the arguments of TensorBoard ask for, and which arguments are refused."""

import pytest

from kerasish.callbacks import TensorBoard

ALWAYS = {"Scalars", "Text", "Histograms", "GraphPage"}


def names(**arguments) -> list[str]:
    """The pages that are asked for, besides those that are there without."""
    pages = [type(page).__name__ for page in TensorBoard("runs", **arguments).pages]
    assert {"Scalars", "Text"} <= set(pages)
    return [name for name in pages if name not in ALWAYS]


def test_without_arguments_there_are_no_others() -> None:
    assert names() == []


@pytest.mark.parametrize(("arguments", "page"), [
    ({"write_images": True}, "Images"), ({"write_mistakes": 16}, "Mistakes"),
    ({"pr_curves": True}, "Curves"), ({"embeddings_freq": 1}, "Projector"),
    ({"embeddings_freq": 1, "embeddings_metadata": {"0": "words.tsv"}}, "Projector"),
    ({"profile_batch": "3,5"}, "Profiler"), ({"hparams": True}, "HParams"),
    ({"hparams": {"a": 1}}, "HParams"),
], ids=str)
def test_each_argument_asks_for_its_page(arguments, page) -> None:
    assert names(**arguments) == [page]


def test_images_come_each_epoch() -> None:
    assert TensorBoard("runs", write_images=True).pages[-1].every == 1


@pytest.mark.parametrize(("argument", "value", "message"), [
    ("write_images", 1, r"expects True or False; got 1"),
    ("write_mistakes", True, r"expects a whole number of at least 0; got True\. 0 shows none, 16"),
    ("write_mistakes", -1, r"expects a whole number of at least 0; got -1"),
    ("pr_curves", "yes", r"expects True or False; got 'yes'"),
    ("embeddings_freq", 0.5, r"expects a whole number of at least 0; got 0\.5\. 0 writes none, 1"),
    ("embeddings_metadata", "words.tsv", r"expects embeddings_freq of 1 or more; got 'words\.tsv' "
                                         r"and 0\. Write embeddings_freq=1\."),
    ("profile_batch", (3, 2), r"expects the first and the last batch, counted from 1; got \(3, 2\)"
     ),
    ("hparams", {}, r"expects settings in the dict; got none"),
])
def test_what_cannot_be_meant_is_refused_at_once(argument, value, message) -> None:
    with pytest.raises(ValueError, match=rf"^TensorBoard\({argument}\) {message}"):
        TensorBoard("runs", **{argument: value})
