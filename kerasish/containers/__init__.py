"""Modules that are made of modules."""

from kerasish.containers.branches import Parallel, Residual, Shared
from kerasish.containers.graph import Graph, Input
from kerasish.containers.merges import Add, Concat, Multiply, Pick
from kerasish.containers.recompute import Recompute
from kerasish.containers.sequential import Sequential

__all__ = [
    "Add",
    "Concat",
    "Graph",
    "Input",
    "Multiply",
    "Parallel",
    "Pick",
    "Recompute",
    "Residual",
    "Sequential",
    "Shared",
]
