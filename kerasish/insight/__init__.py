"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.profile import profile
from kerasish.insight.summary import print_summary, summary

__all__ = ["print_summary", "profile", "summary"]
