"""Which pages the arguments of TensorBoard ask for, and which arguments are refused."""

import pytest

from kerasish.callbacks import TensorBoard


def names(**arguments) -> list[str]:
    return [type(page).__name__ for page in TensorBoard("runs", **arguments).pages]


ALWAYS = ["Scalars", "Text", "GraphPage"]


def test_numbers_text_and_graph_are_always_pages() -> None:
    assert names() == ALWAYS
    assert names(write_graph=False) == ALWAYS[:-1]


def test_arguments_are_in_the_order_of_keras() -> None:
    board = TensorBoard("runs", 2, False, True, "batch")
    assert (board.histogram_freq, board.update_freq) == (2, "batch")
    assert [type(page).__name__ for page in board.pages] == [
        "Scalars", "Text", "Histograms", "Images"]


@pytest.mark.parametrize(("arguments", "page"), [
    ({"write_images": True}, "Images"), ({"write_mistakes": 16}, "Mistakes"),
    ({"pr_curves": True}, "Curves"), ({"embeddings_freq": 1}, "Projector"),
    ({"embeddings_freq": 1, "embeddings_metadata": {"0": "words.tsv"}}, "Projector"),
    ({"profile_batch": "3,5"}, "Profiler"), ({"hparams": True}, "HParams"),
    ({"hparams": {"a": 1}}, "HParams"),
], ids=str)
def test_each_argument_asks_for_its_page(arguments, page) -> None:
    assert names(**arguments) == [*ALWAYS, page]


@pytest.mark.parametrize(("histogram_freq", "every"), [(0, 1), (5, 5)])
def test_images_come_with_the_histograms_else_each_epoch(histogram_freq, every) -> None:
    board = TensorBoard("runs", histogram_freq, write_images=True)
    assert board.pages[-1].every == every


@pytest.mark.parametrize(("argument", "value", "message"), [
    ("histogram_freq", -1, r"expects a whole number of at least 0; got -1\. 1 is after each epoch"),
    ("write_graph", None, r"expects True or False; got None"),
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
