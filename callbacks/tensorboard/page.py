"""What TensorBoard is made of: a page says when it writes what."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kerasish.hooks import Callback
from kerasish.types import Logs

from .runs import Runs


class Page(Callback):
    """One kind of thing to see in TensorBoard: a callback that writes into `runs`.

    Hooks are those of a callback, `listens` and `state_dict` included. Steps of epochs and batches
    are `self.epochs` and `self.batches`: they go on across fits of the same model.
    """

    runs: Runs
    """The event files to write into, set before training begins."""

    @property
    def epochs(self) -> int:
        """The step of what is written when an epoch ends."""
        return int(self.model.epochs_trained) - 1

    @property
    def batches(self) -> int:
        """The step of what is written after a batch."""
        return int(self.model.batches_trained)

    @property
    def is_told_again(self) -> bool:
        """Whether the run is over, and only its logs are left: there is no net to look into."""
        return "replayed" in self.params

    def write(self, run: str, summary: Any, step: int, wall_time: float | None = None) -> None:
        """Writes a Summary to a run, "train" for instance; `runs` says the rest."""
        self.runs.add(run, summary, step, wall_time)

    def write_scalars(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Writes numbers by their tags to a run, together."""
        self.runs.add_scalars(run, values, step)


def numbers(logs: Logs | None) -> dict[str, float]:
    """What among the logs is a number; a callback's own notes and arrays are left out."""
    found = {}
    for name, value in (logs or {}).items():
        with suppress(TypeError, ValueError):
            if not isinstance(value, str):
                found[name] = float(value)
    return found
