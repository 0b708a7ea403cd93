"""Everything a user may plug into the loop."""

from kerasish.hooks import Callback, CallbackList
from kerasish.history import History
from .early_stopping import EarlyStopping
from .tensorboard import TensorBoard

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "TensorBoard"]
