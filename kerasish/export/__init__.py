"""To torch.nn and back, and on to ONNX: for leaving kerasish, and for proving that both agree.

The one place that may use `torch.nn` and autograd; nothing imports it at start-up.
"""

from kerasish.export.agreement import Difference
from kerasish.export.reading import from_torch
from kerasish.export.writing import to_onnx, to_torch

__all__ = [
    "Difference",
    "from_torch",
    "to_onnx",
    "to_torch",
]
