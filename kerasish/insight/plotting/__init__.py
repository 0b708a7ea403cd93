"""The picture of a net: where its boxes go, and how they are drawn."""

from kerasish.insight.plotting.plot_model import Picture, plot_model

__all__ = ["Picture", "plot_model"]
