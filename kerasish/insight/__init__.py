"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.replay import Replay, replay
from kerasish.insight.summary import print_summary, summary

__all__ = ["Replay", "print_summary", "replay", "summary"]
