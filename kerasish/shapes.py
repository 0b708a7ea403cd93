"""When predictions and targets may be compared, and what is said when not."""

from torch import Tensor

from kerasish.types import Shape


def require_alike(who: object, y_pred: Shape, y_true: Shape) -> None:
    """Refuses shapes that differ, where (N,) is read as (N, 1): nothing is ever broadcast.

    Raises: ValueError with both shapes.
    """
    if y_true != y_pred and (*y_true, 1) != y_pred and y_true != (*y_pred, 1):
        raise ValueError(
            f"{who!r} expects y_true in the shape of y_pred, {tuple(y_pred)}; got {tuple(y_true)}. "
            "Change the last module's size, or the shape of y."
        )


def require_axis(who: object, axis: int, shape: Shape) -> None:
    """Refuses an axis of predictions that they do not have, or that the samples lie on.

    Raises: ValueError with the axis and the shape.
    """
    if not 1 <= (axis if axis >= 0 else len(shape) + axis) < len(shape):
        raise ValueError(f"{who!r} expects y_pred with samples on axis 0 and another axis {axis}; "
                         f"got shape {tuple(shape)}. Choose another axis.")


def alike(who: object, y_pred: Tensor, y_true: Tensor) -> Tensor:
    """y_true in the shape and type of y_pred, never by broadcasting."""
    if y_pred.shape != y_true.shape:
        require_alike(who, tuple(y_pred.shape), tuple(y_true.shape))
        y_true = y_true.reshape(y_pred.shape)
    return y_true if y_true.dtype == y_pred.dtype else y_true.to(y_pred.dtype)
