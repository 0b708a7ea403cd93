"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.memory import MemoryPlan, plan
from kerasish.insight.summary import print_summary, summary

__all__ = ["MemoryPlan", "plan", "print_summary", "summary"]
