"""The keyword arguments that every optimizer takes besides its own, as type checkers see them."""

from typing import TypedDict


class SharedButDecay(TypedDict, total=False):
    """All of them but `weight_decay`, for an optimizer that has a default of its own for it."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None


class Shared(SharedButDecay, total=False):
    """All of them; `Optimizer` says what they mean."""

    weight_decay: float | None
