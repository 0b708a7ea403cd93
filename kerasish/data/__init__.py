"""Turns whatever holds samples into batches."""

from kerasish.data.arrays import Arrays, Batch
from kerasish.data.choosing import check_batch_size, is_arrays, source_of
from kerasish.data.class_weights import class_weights
from kerasish.data.convert import argument, as_tensor, as_tensors
from kerasish.data.loaders import LoaderSource
from kerasish.data.shares import Share, whole
from kerasish.data.sources import ArraySource, Source
from kerasish.data.streams import StreamSource

__all__ = ["ArraySource", "Arrays", "Batch", "LoaderSource", "Share", "Source", "StreamSource",
           "argument", "as_tensor", "as_tensors", "check_batch_size", "class_weights", "is_arrays",
           "source_of", "whole"]
