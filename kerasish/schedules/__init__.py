"""Learning rates that change with the number of updates; any function of it is one, too."""

from kerasish.schedules.cosines import CosineDecay, CosineDecayRestarts
from kerasish.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from kerasish.schedules.one_cycle import OneCycle
from kerasish.schedules.schedule import Constant, Schedule

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
]
