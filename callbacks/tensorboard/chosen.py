"""From the arguments of TensorBoard to the pages that they ask for: each is checked at the door."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

from kerasish.checks import check_count, check_flag
from kerasish.registry import nearest

from .curves import Curves
from .graph import GraphPage
from .histograms import Histograms
from .hparams import HParams
from .images import Images
from .mistakes import Mistakes
from .page import Page
from .profiler import Profiler, check_batches
from .projector import Projector
from .scalars import Scalars
from .text import Text

_WHO = "TensorBoard"
_NAMES = ("epoch", "batch")


def chosen(
    *,
    histogram_freq: int,
    write_graph: bool,
    write_images: bool,
    update_freq: str | int,
    write_steps_per_second: bool,
    profile_batch: Any,
    embeddings_freq: int,
    embeddings_metadata: Any,
    hparams: Any,
    write_mistakes: int,
    pr_curves: bool,
) -> Iterator[Page]:
    """The pages of a run; those of its numbers and its text are always there.

    Raises: ValueError or TypeError naming the argument; TensorBoard describes them.
    """
    yield Scalars(_checked_frequency(update_freq),
                  check_flag(f"{_WHO}(write_steps_per_second)", write_steps_per_second))
    yield Text()
    if _count("histogram_freq", histogram_freq, "1 is after each epoch, 0 never."):
        yield Histograms(histogram_freq)
    if check_flag(f"{_WHO}(write_graph)", write_graph):
        yield GraphPage()
    if check_flag(f"{_WHO}(write_images)", write_images):
        yield Images(histogram_freq or 1)
    if _count("write_mistakes", write_mistakes, "0 shows none, 16 is a grid of 4 by 4."):
        yield Mistakes(write_mistakes)
    if check_flag(f"{_WHO}(pr_curves)", pr_curves):
        yield Curves()
    if _count("embeddings_freq", embeddings_freq, "0 writes none, 1 after each epoch."):
        yield Projector(embeddings_freq, embeddings_metadata)
    elif embeddings_metadata is not None:
        raise ValueError(f"{_WHO}(embeddings_metadata) expects embeddings_freq of 1 or more; got "
                         f"{embeddings_metadata!r} and 0. Write embeddings_freq=1.")
    if batches := check_batches(profile_batch):
        yield Profiler(*batches)
    if hparams is not None:
        yield HParams(hparams)


def _count(name: str, value: Any, fix: str) -> int:
    return check_count(f"{_WHO}({name})", value, 0, fix)


def _checked_frequency(update_freq: Any) -> str | int:
    if isinstance(update_freq, str) and update_freq in _NAMES:
        return update_freq
    is_count = isinstance(update_freq, Integral) and not isinstance(update_freq, bool)
    if is_count and int(update_freq) >= 1:
        return int(update_freq)
    is_name = isinstance(update_freq, str)
    fix = nearest(update_freq, _NAMES) if is_name else "'epoch' is the cheapest."
    raise ValueError(f"{_WHO}(update_freq) expects 'epoch', 'batch' or a number of batches of at "
                     f"least 1; got {update_freq!r}. {fix}")
