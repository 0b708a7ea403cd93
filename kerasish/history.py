"""The callback that `fit` returns: what was logged, epoch by epoch."""

from numbers import Real
from typing import Any, ClassVar

from kerasish.hooks import Callback
from kerasish.plots import Panel, curves, save_picture
from kerasish.records import read_record, write_record
from kerasish.registry import nearest
from kerasish.replaying import Finished, replayed
from kerasish.saving import ModelFileError
from kerasish.saving.errors import FilePath, check_path
from kerasish.types import Logs

_STATE = ("epoch", "history", "logged", "progress", "directions", "seed")
_KIND = "kerasish history"
_EXAMPLE = "history.json"


class History(Callback):
    """Keeps what each epoch logged; draws it, saves it, and tells other callbacks of it.

    Attributes: `history`, name → one value an epoch that logged it; `logged`, name → the numbers of
    these epochs; `epoch`, the numbers of all epochs; `seed`, which repeats the run when it is given
    to `fit(seed=...)`; `progress`, what learning_rate, epochs_trained and batches_trained were when
    each epoch ended, None where that is not known; `directions`, metric → whether higher is better.

    Example:
        >>> history = History()
        >>> history.on_epoch_end(0, {"loss": 0.5})
        >>> history.history, history.logged
        ({'loss': [0.5]}, {'loss': [0]})
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self.logged: dict[str, list[int]] = {}
        self.progress: dict[str, list[Any]] = {name: [] for name in Finished.PROGRESS}
        self.directions: dict[str, bool | None] = {}
        self.seed: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._start()
        self.seed = self.params.get("seed")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self.logged.setdefault(name, []).append(epoch)
        for name, value in Finished.progress_of(self.model).items():
            self.progress[name].append(value)
        self.directions |= Finished.directions_of(self.model)

    def state_dict(self) -> dict[str, Any]:
        return {name: _copied(getattr(self, name)) for name in _STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in _STATE:
            setattr(self, name, _copied(state[name]))

    def plot(self, path: FilePath | None = None, names: Any = None) -> Any:
        """Draws what was logged: a panel for each name, validation beside training.

        Losses that span decades get a logarithmic axis. Nothing of pyplot's is touched.

        Raises: ValueError for names that were not logged as numbers, with the nearest ones, for a
            file that is no picture, and for lists that were changed to disagree; ImportError
            without matplotlib; OSError if the picture cannot be written.

        Args:
            path: where to save the picture, too, "history.png" or ".svg" for instance.
            names: one, or a list, of those that are to be drawn, without "val_". None is all.

        Returns: a `matplotlib.figure.Figure`.
        """
        self._require_consistent("plot")
        known = {name.removeprefix("val_"): None for name in self.history if self._is_drawn(name)}
        wanted = list(known) if names is None else [names] if isinstance(names, str) else names
        for name in wanted:
            if name not in known:
                raise ValueError("History.plot(names) expects names that were logged as numbers, "
                                 f"without 'val_'; got {name!r}. {nearest(str(name), known)}")
        figure = curves([self._panel(name) for name in wanted])
        if path is not None:
            save_picture("History.plot(path)", figure, path, "history.png")
        return figure

    def save(self, path: FilePath) -> None:
        """Writes all of it into a JSON file, whole or not at all; `History.load` gives it back.

        Raises: OSError if it cannot be written; TypeError naming a logged value that is neither
            plain nor an array; ValueError for lists that were changed to disagree.
        """
        self._require_consistent("save")
        name = check_path("History.save(path)", path, _EXAMPLE)
        write_record(name, _KIND, self.state_dict())

    @staticmethod
    def load(path: FilePath) -> "History":
        """The history in a file that `save` wrote, exactly as it was.

        Raises: ModelFileError for another file; OSError if it cannot be read.
        """
        history = History()
        state = read_record(check_path("History.load(path)", path, _EXAMPLE), _KIND)
        try:
            history.load_state_dict(state)
            history._require_consistent("load")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(path, "the history", f"does not hold together: {error}",
                                 "Save it again.") from error
        return history

    def replay(self, callbacks: Any) -> None:
        """Tells callbacks of the run as if it happened again: to log it elsewhere, for instance.

        They hear of the beginning, of each epoch with its logs, and of the end; a callback may end
        it as it would end a fit. Their model is a stand-in that knows learning rates, counters and
        the directions of metrics.

        Raises: AttributeError for callbacks that need the model itself; TypeError for what is no
            callback; ValueError for lists that were changed to disagree.

        Args:
            callbacks: one Callback, or a list: `[TensorBoard("runs/again"), CSVLogger("log.csv")]`.
        """
        self._require_consistent("replay")
        values = {name: dict(zip(epochs, self.history[name], strict=True))
                  for name, epochs in self.logged.items()}
        logs = [{name: found[epoch] for name, found in values.items() if epoch in found}
                for epoch in self.epoch]
        replayed(callbacks, self.state_dict(), logs)

    def _panel(self, name: str) -> Panel:
        lines = {}
        for label, key in (("training", name), ("validation", f"val_{name}")):
            if key in self.history and self._is_drawn(key):
                epochs = [epoch + 1 for epoch in self.logged[key]]
                lines[label] = (epochs, [float(value) for value in self.history[key]])
        return Panel(name, lines, may_be_logarithmic=self.directions.get(name) is not True)

    def _is_drawn(self, name: str) -> bool:
        """Whether all values are single numbers."""
        return all(isinstance(value, Real) or getattr(value, "ndim", None) == 0
                   for value in self.history[name])

    def _require_consistent(self, method: str) -> None:
        """Refuses lists that do not belong to the epochs that they should."""
        counts = {name: len(values) for name, values in self.history.items()}
        wanted = {name: len(epochs) for name, epochs in self.logged.items()}
        wrong = [name for name in {**counts, **wanted} if counts.get(name) != wanted.get(name)
                 or not set(self.logged[name]) <= set(self.epoch)]
        wrong += [name for name, values in self.progress.items() if len(values) != len(self.epoch)]
        if wrong:
            raise ValueError(
                f"History.{method} expects a value for each epoch that logged one; got lists that "
                f"disagree for {wrong[0]!r}. Change a copy, `dict(history.history)`, not itself."
            )

    def __repr__(self) -> str:
        return f"History({len(self.epoch)} epochs: {', '.join(self.history)})"


def _copied(value: Any) -> Any:
    """Lists and dicts anew, with the same values in them."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return list(value) if isinstance(value, list) else value
