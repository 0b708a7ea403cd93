"""Norms, over batches, layers, groups, instances and neighbours."""

from kerasish.layers.normalization.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from kerasish.layers.normalization.group_norm import GroupNorm
from kerasish.layers.normalization.instance_norm import (
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from kerasish.layers.normalization.layer_norm import LayerNorm
from kerasish.layers.normalization.local_response_norm import LocalResponseNorm
from kerasish.layers.normalization.rms_norm import RMSNorm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]
