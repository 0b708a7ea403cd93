"""Pictures from plain data, drawn by matplotlib."""

from kerasish.plots.curves import Panel, curves
from kerasish.plots.figure import save_picture
from kerasish.plots.matrix import matrix
from kerasish.plots.regions import Regions, regions
from kerasish.plots.sweep import sweep

__all__ = ["Panel", "Regions", "curves", "matrix", "regions", "save_picture", "sweep"]
