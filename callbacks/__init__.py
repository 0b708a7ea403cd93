"""Everything a user may plug into the loop."""

if __name__ != "kerasish.callbacks":  # a second name would make a second class of each
    raise ImportError(
        f"This folder expects to be imported as kerasish.callbacks; got {__name__}. "
        "Write `from kerasish.callbacks import ...`."
    )

from kerasish.history import History
from kerasish.hooks import Callback, CallbackList

from .backup_and_restore import BackupAndRestore
from .csv_logger import CSVLogger
from .early_stopping import EarlyStopping
from .health_monitor import HealthMonitor
from .lambda_callback import LambdaCallback
from .learning_rate_scheduler import LearningRateScheduler
from .model_checkpoint import ModelCheckpoint
from .nan_tracer import NanTracer
from .reduce_lr_on_plateau import ReduceLROnPlateau
from .remote_monitor import RemoteMonitor
from .swap_ema_weights import SwapEMAWeights
from .tensorboard import TensorBoard
from .terminate_on_nan import TerminateOnNaN
from .timing import Timing

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "HealthMonitor",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "NanTracer",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "Timing",
]
