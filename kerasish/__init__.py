"""Neural networks in a few lines, on forward and backward passes written by hand."""

import gc
import importlib
from pathlib import Path
from typing import Any

if not Path(__file__).with_name("callbacks").is_dir():
    # A bare checkout: the folder that is installed as kerasish.callbacks lies beside the package.
    __path__.append(str(Path(__file__).parent.parent))

# A collection in the middle of these imports would walk through all of torch: it costs more than
# they do.
_collects = gc.isenabled()
gc.disable()
try:
    from kerasish import (
        constraints,
        containers,
        datasets,
        gradcheck,
        initializers,
        layers,
        losses,
        metrics,
        optimizers,
        regularizers,
        schedules,
    )
    from kerasish.containers import Sequential
    from kerasish.insight import find_batch_size, lr_find, plot_model
    from kerasish.model import Model
    from kerasish.module import Module
    from kerasish.parameter import Parameter
    from kerasish.random import set_seed
    from kerasish.saving import ModelFileError
finally:
    if _collects:
        gc.enable()

__version__ = "0.1.0"
__all__ = [
    "Model", "ModelFileError", "Module", "Parameter", "Sequential", "callbacks", "constraints",
    "containers", "datasets", "find_batch_size", "gradcheck", "initializers", "layers", "losses",
    "lr_find", "metrics", "optimizers", "plot_model", "regularizers", "schedules", "set_seed",
]


def __getattr__(name: str) -> Any:
    """Imports `kerasish.callbacks` when it is first asked for: it is the floor above this one."""
    if name == "callbacks":
        return importlib.import_module("kerasish.callbacks")
    raise AttributeError(f"module 'kerasish' has no attribute {name!r}")
