"""Normalisation."""

from torch import nn

from kerasish.containers import Sequential
from kerasish.layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    ReLU,
    RMSNorm,
)
from tests.table.row import Row

NO_SAMPLE = {"no sample": "torch fails, where it repeats the parameters for no samples"}
ONE_VALUE = {"one sample": "one value a channel is refused, as in torch"}
WEIGHT = {"weight_initializer": "kaiming_normal"}  # ones would hide what they multiply
BOTH = WEIGHT | {"bias_initializer": "kaiming_normal"}

ROWS = [
    Row("BatchNorm1d", lambda: BatchNorm1d(**BOTH), (3,), lambda: nn.BatchNorm1d(3), mixes=True,
        differs=ONE_VALUE),
    Row("BatchNorm1d of sequences", lambda: BatchNorm1d(2, 1e-3, 0.3, **WEIGHT), (2, 5),
        lambda: nn.BatchNorm1d(2, 1e-3, 0.3), mixes=True),
    Row("BatchNorm1d without statistics",
        lambda: BatchNorm1d(track_running_stats=False, **BOTH), (2, 3),
        lambda: nn.BatchNorm1d(2, track_running_stats=False), mixes=True),
    Row("BatchNorm1d, synchronized with nobody", lambda: BatchNorm1d(synchronized=True, **BOTH),
        (2, 3), lambda: nn.BatchNorm1d(2), mixes=True),
    Row("BatchNorm2d", lambda: BatchNorm2d(**BOTH), (3, 2, 4), lambda: nn.BatchNorm2d(3),
        mixes=True),
    Row("BatchNorm2d without parameters, averaging", lambda: BatchNorm2d(3, 0.1, None, False),
        (3, 2, 4), lambda: nn.BatchNorm2d(3, 0.1, None, False), mixes=True),
    Row("BatchNorm2d without bias", lambda: BatchNorm2d(bias=False, **WEIGHT), (3, 2, 2),
        lambda: nn.BatchNorm2d(3, bias=False), mixes=True),
    Row("BatchNorm3d", lambda: BatchNorm3d(**BOTH), (2, 2, 1, 3), lambda: nn.BatchNorm3d(2),
        mixes=True),
    Row("BatchNorm1d between others",
        lambda: Sequential(Linear(4, bias=False), BatchNorm1d(), ReLU(), Linear(2)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(),
                              nn.Linear(4, 2)),
        mixes=True, differs=ONE_VALUE),
    Row("LayerNorm", lambda: LayerNorm(**BOTH), (5,), lambda: nn.LayerNorm(5)),
    Row("LayerNorm of sequences, without bias",
        lambda: LayerNorm(4, 1e-2, bias=False, **WEIGHT), (3, 4),
        lambda: nn.LayerNorm(4, 1e-2, bias=False)),
    Row("LayerNorm of images", lambda: LayerNorm((3, 2), **BOTH), (2, 3, 2),
        lambda: nn.LayerNorm((3, 2))),
    Row("LayerNorm without parameters", lambda: LayerNorm(elementwise_affine=False), (2, 3),
        lambda: nn.LayerNorm(3, elementwise_affine=False)),
    Row("GroupNorm", lambda: GroupNorm(2, **BOTH), (4, 2, 3), lambda: nn.GroupNorm(2, 4)),
    Row("GroupNorm of one group, without bias",
        lambda: GroupNorm(1, 3, 1e-2, bias=False, **WEIGHT), (3,),
        lambda: nn.GroupNorm(1, 3, 1e-2, bias=False)),
    Row("GroupNorm of volumes, without parameters", lambda: GroupNorm(2, affine=False),
        (4, 2, 1, 2), lambda: nn.GroupNorm(2, 4, affine=False)),
    Row("InstanceNorm1d", InstanceNorm1d, (2, 5), lambda: nn.InstanceNorm1d(2)),
    Row("InstanceNorm2d with parameters and statistics",
        lambda: InstanceNorm2d(3, 1e-2, 0.3, True, True, **BOTH), (3, 2, 3),
        lambda: nn.InstanceNorm2d(3, 1e-2, 0.3, True, True),
        differs=NO_SAMPLE),
    Row("InstanceNorm3d with weights alone",
        lambda: InstanceNorm3d(affine=True, bias=False, **WEIGHT),
        (2, 2, 1, 3), lambda: nn.InstanceNorm3d(2, affine=True, bias=False),
        differs=NO_SAMPLE),
    Row("RMSNorm", lambda: RMSNorm(**WEIGHT), (5,), lambda: nn.RMSNorm(5)),
    Row("RMSNorm of images", lambda: RMSNorm((3, 2), 1e-2, **WEIGHT), (2, 3, 2),
        lambda: nn.RMSNorm((3, 2), 1e-2)),
    Row("RMSNorm without parameters", lambda: RMSNorm(4, elementwise_affine=False), (2, 4),
        lambda: nn.RMSNorm(4, elementwise_affine=False)),
    Row("LocalResponseNorm", lambda: LocalResponseNorm(2), (5, 2, 3),
        lambda: nn.LocalResponseNorm(2)),
    Row("LocalResponseNorm of sequences, strong", lambda: LocalResponseNorm(3, 2.0, 0.3, 0.5),
        (4, 3), lambda: nn.LocalResponseNorm(3, 2.0, 0.3, 0.5)),
    Row("LocalResponseNorm of volumes, with a wide window", lambda: LocalResponseNorm(6, 1.0),
        (3, 2, 1, 2), lambda: nn.LocalResponseNorm(6, 1.0)),
]

EQUIVALENT = {
    r"LocalResponseNorm\.backward: .* \+ q\.addcmul_\(around, x, ":
        "factors of a product may be exchanged",
    r"(LocalResponse|RMS)Norm\.backward: - (\S.*)\.to\(\w+\.dtype\) \+ \2$":
        "types are as they are: see tests/test_precision.py for the one where they are not",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
