"""What all schedules are: functions of the number of updates so far."""

from collections.abc import Callable

from kerasish.checks import check_positive, check_rate
from kerasish.configured import Configured


class Schedule(Configured):
    """Base of schedules: a function from the number of updates so far to a learning rate."""

    def __call__(self, step: int) -> float:
        """The learning rate of the update with this number, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(step) method. Write it.")


class Constant(Schedule):
    """The same rate always, where a schedule is asked for.

        α(t) = α₀

    Args:
        learning_rate: α₀, 0 or more.

    Example:
        >>> Constant(0.1)(1000)
        0.1
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = check_rate("Constant(learning_rate)", learning_rate)

    def __call__(self, step: int) -> float:
        return self.learning_rate


def check_schedule(who: str, schedule: Callable[[int], float], step: int) -> None:
    """Refuses a function that gives no rate for a number of updates.

    Raises: TypeError if it cannot be called so; ValueError for what is no rate.
    """
    try:
        rate = schedule(step)
    except TypeError as error:
        raise TypeError(f"{who} expects a function of the number of updates; got {schedule!r}, "
                        f"which fails: {error}. lambda step: 0.1 is one.") from error
    check_rate(f"{who}, a function of the number of updates,", rate)


def check_steps(who: str, steps: float) -> float:
    """Hands a number of updates back if it is above 0."""
    return check_positive(who, steps, "Epochs times batches an epoch is a usual choice.")
