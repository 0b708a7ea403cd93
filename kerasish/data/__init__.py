"""Turns whatever holds samples into batches."""

from kerasish.data.arrays import Arrays, Batch, as_tensor, as_tensors

__all__ = ["Arrays", "Batch", "as_tensor", "as_tensors"]
