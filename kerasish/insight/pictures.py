"""Pictures of what a net answers: over a plane, and class against class."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.data import as_tensor
from kerasish.endings import endings
from kerasish.insight.batch import require_loss, require_model
from kerasish.insight.twin import twin
from kerasish.losses.several import OutputLosses
from kerasish.metrics.reading import Reading
from kerasish.plots import Regions, matrix, regions, save_picture
from kerasish.saving.errors import FilePath
from kerasish.shapes import alike

_MARGIN = 0.08
"""How far a plane goes beyond the points on it, as a share of their range."""


def plot_confusion_matrix(
    model: Any, x: Any, y: Any, path: FilePath | None = None, names: Iterable[Any] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Draws how often each true class was taken for each class.

    Classes are read as metrics read them: by the loss, indices, targets in rows, or yes and no;
    the metric `ConfusionMatrix` counts them in `fit`. The model stays as it is.

    Raises: RuntimeError before compile, and for loss=None; ValueError for data that do not fit, for
        a model with several outputs, for targets that are numbers, neither 0 and 1 nor -1 and 1,
        and for other than C names; ImportError without matplotlib.

    Args:
        model: compiled, so that its loss says what its answers mean.
        x: samples, as `predict` takes them.
        y: as many targets.
        path: where to save the picture, too, "confusion.png" or ".svg" for instance.
        names: of the classes in their order, or number → name; None is their numbers.
        batch_size: samples that are predicted at once; changes nothing but memory.

    Returns: a `matplotlib.figure.Figure`.
    """
    who = "plot_confusion_matrix"
    require_model(who, model)
    require_loss(f"{who}(model)", model)
    with twin(model) as copied:
        answers = _Answers(copied, who, x, y, batch_size)
    size, cells = answers.classes, answers.true * answers.classes + answers.taken
    counts = torch.bincount(cells, minlength=size * size).view(size, size)
    figure = matrix(counts.numpy(), _names(f"{who}(names)", names, range(size)))
    if path is not None:
        save_picture(f"{who}(path)", figure, path, "confusion.png")
    return figure


def plot_decision_boundary(
    model: Any, x: Any, y: Any, path: FilePath | None = None, names: Iterable[Any] | None = None,
    axis_names: Iterable[Any] | None = None, resolution: int = 300,
) -> Any:
    """Draws what a net with two inputs answers everywhere, and which samples it gets wrong.

    Raises: RuntimeError before compile, and for loss=None; ValueError for samples of other than two
        features, for other data that do not fit, for other than C names or two axis_names, and for
        a resolution below 2; ImportError without matplotlib.

    Args:
        model: compiled, so that its loss says what its answers mean.
        x: samples (N, 2).
        y: as many targets, which the model's loss takes.
        path: where to save the picture, too, "boundary.png" or ".svg" for instance.
        names: of the classes in their order, or number → name; None is their numbers.
        axis_names: of the two features; None is x1 and x2.
        resolution: cells along each side of the picture.

    Returns: a `matplotlib.figure.Figure`.
    """
    who = "plot_decision_boundary"
    require_model(who, model)
    require_loss(f"{who}(model)", model)
    points = as_tensor(f"{who}(x)", x)
    if points.dim() != 2 or points.shape[1] != 2:
        raise ValueError(f"{who}(x) expects samples of two features, (N, 2); got shape "
                         f"{tuple(points.shape)}. Of more features no plane can show all.")
    _require_some(who, len(points))
    if not points.isfinite().all():
        raise ValueError(f"{who}(x) expects finite features; got NaN or infinite ones. Leave "
                         "these samples out: they lie nowhere on the plane.")
    cells = check_count(f"{who}(resolution)", resolution, 2, "300 is fine.")
    low, high = points.double().aminmax(dim=0)
    margin = ((high - low) * _MARGIN).clamp(min=1e-6)
    sides = [torch.linspace(*ends, cells) for ends in zip(low - margin, high + margin, strict=True)]
    plane = torch.cartesian_prod(sides[1], sides[0]).flip(1)  # row by row from below
    with twin(model) as copied:
        answers = _Answers(copied, who, points, y)
        on_plane = answers.read(copied.predict(plane, batch_size=8192, verbose=0))
    first, second = (side.numpy() for side in sides)
    data = Regions(first, second, on_plane.view(cells, cells).numpy(),
                   points[answers.kept].numpy(), answers.true.numpy(), answers.taken.numpy())
    figure = regions(data, _names(f"{who}(names)", names, range(answers.classes)),
                     _names(f"{who}(axis_names)", axis_names, ("x1", "x2")))
    if path is not None:
        save_picture(f"{who}(path)", figure, path, "boundary.png")
    return figure


class _Answers:
    """The classes that samples are taken for, and those that they are of.

    Args:
        model: one to ask; it is built if it is not.
        who: the function that asks.
        x: the samples.
        y: their targets.
        batch_size: as for `predict`.
    """

    def __init__(
        self, model: Any, who: str, x: Any, y: Any, batch_size: int | None = None
    ) -> None:
        if isinstance(model.loss, OutputLosses):
            raise ValueError(f"{who}(model) expects a model with one output; got one with "
                             f"{model.loss.keys}. Make a Model of the part that answers.")
        self._reading = Reading(who)
        self._reading.told(model.loss, getattr(endings(model.module), "y_range", None))
        y_pred = torch.from_numpy(model.predict(x, batch_size, verbose=0))
        y_true = as_tensor(f"{who}(y)", y)
        shapes = tuple(y_pred.shape), tuple(y_true.shape)
        _require_some(who, len(y_pred))
        if len(y_pred) != len(y_true):
            raise ValueError(f"{who}(y) expects a target for each sample; got {len(y_true)} for "
                             f"{len(y_pred)}. Give both the same first axis.")
        self._reading.check_shapes(who, *shapes)
        self._of_classes = self._reading.of_classes(*shapes)
        self.kept: Any = slice(None)
        """Which of them count."""
        self.taken = self.read(y_pred)
        self.classes = y_pred.shape[self._reading.axis] if self._of_classes else 2
        if self._of_classes:
            true, counts = self._reading.classes(y_pred, y_true)
            self.kept = slice(None) if counts is None else counts.flatten()
            self.true, self.taken = true.flatten()[self.kept], self.taken[self.kept]
        else:
            y_true = alike(who, y_pred, y_true)
            if not self._reading.of_labels:
                _require_labels(who, y_true)
            self.true = (y_true > self._reading.true).long().flatten()
        self._require_known(who)

    def read(self, answers: Any) -> Tensor:
        """The classes that predictions mean."""
        y_pred: Tensor = torch.as_tensor(answers)
        reading = self._reading
        if self._of_classes:
            return y_pred.argmax(reading.axis).flatten()
        return y_pred.gt(reading.yes).long().flatten()

    def _require_known(self, who: str) -> None:
        unknown = self.true[(self.true < 0) | (self.true >= self.classes)]
        if len(unknown):
            raise ValueError(f"{who}(y) expects classes from 0 to {self.classes - 1}; got "
                             f"{int(unknown[0])}. Number them from 0.")


def _require_some(who: str, samples: int) -> None:
    if not samples:
        raise ValueError(f"{who}(x) expects at least one sample; got none. Check how x was "
                         "selected.")


def _require_labels(who: str, targets: Tensor) -> None:
    """Refuses targets that a loss of numbers has, and that are neither yes nor no."""
    for no, yes in ((0, 1), (-1, 1)):
        if ((targets == no) | (targets == yes)).all():
            return
    odd = targets[(targets.abs() != 1) & (targets != 0)].flatten()
    got = f"{odd[0].item():g}" if len(odd) else "-1, 0 and 1"
    raise ValueError(f"{who}(y) expects yes and no, as 0 and 1 or as -1 and 1, with a loss of "
                     f"numbers; got {got}. Make classes of them, y > threshold as BinaryAccuracy "
                     "does, and train with a loss of these.")


def _names(who: str, given: Iterable[Any] | None, numbers: Sequence[Any]) -> list[str]:
    """Names as text, as many as there are things to name."""
    if isinstance(given, Mapping):
        if set(given) != set(numbers):
            raise ValueError(f"{who} expects a name for each of {list(numbers)}; got {given!r}. "
                             "Write these as keys, or the names alone in their order.")
        given = [given[number] for number in numbers]
    names = [str(each) for each in (numbers if given is None else given)]
    if len(names) != len(numbers):
        raise ValueError(f"{who} expects {len(numbers)} names; got {names}. Write one for each.")
    return names
