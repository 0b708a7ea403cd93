"""From the arguments of TensorBoard to the pages that they ask for: each is checked at the door."""

from typing import Any

from kerasish.checks import check_count, check_flag

from .curves import Curves
from .hparams import HParams
from .images import Images
from .mistakes import Mistakes
from .page import Page
from .profiler import Profiler, check_batches
from .projector import Projector
from .text import Text


def chosen(
    *,
    histogram_freq: int,
    write_images: bool,
    write_mistakes: int,
    pr_curves: bool,
    profile_batch: Any,
    embeddings_freq: int,
    embeddings_metadata: Any,
    hparams: Any,
) -> list[Page]:
    """The pages about a model, besides its numbers and its graph; the text page is always one.

    Raises: ValueError or TypeError naming the argument; TensorBoard describes them.
    """
    who = "TensorBoard"
    pages: list[Page] = [Text()]
    if check_flag(f"{who}(write_images)", write_images):
        pages.append(Images(histogram_freq or 1))
    if check_count(f"{who}(write_mistakes)", write_mistakes, 0, "0 shows none, 16 is a grid of 4 "
                                                               "by 4."):
        pages.append(Mistakes(write_mistakes))
    if check_flag(f"{who}(pr_curves)", pr_curves):
        pages.append(Curves())
    if check_count(f"{who}(embeddings_freq)", embeddings_freq, 0, "0 writes none, 1 after each "
                                                                  "epoch."):
        pages.append(Projector(embeddings_freq, embeddings_metadata))
    elif embeddings_metadata is not None:
        raise ValueError(f"{who}(embeddings_metadata) expects embeddings_freq of 1 or more; got "
                         f"{embeddings_metadata!r} and 0. Write embeddings_freq=1.")
    if batches := check_batches(profile_batch):
        pages.append(Profiler(*batches))
    if hparams is not None:
        pages.append(HParams(hparams))
    return pages
