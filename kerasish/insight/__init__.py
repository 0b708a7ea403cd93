"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.plotting import plot_model
from kerasish.insight.summary import print_summary, summary

__all__ = ["plot_model", "print_summary", "summary"]
