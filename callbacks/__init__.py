"""Everything a user may plug into the loop."""

if __name__ != "kerasish.callbacks":  # a second name would make a second class of each
    raise ImportError(
        f"This folder expects to be imported as kerasish.callbacks; got {__name__}. "
        "Write `from kerasish.callbacks import ...`."
    )

from kerasish.history import History
from kerasish.hooks import Callback, CallbackList

from .early_stopping import EarlyStopping
from .tensorboard import TensorBoard

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "TensorBoard"]
