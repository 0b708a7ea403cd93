"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.check import CheckReport, CheckRow, check
from kerasish.insight.explain import explain
from kerasish.insight.explanation import ExplainedStep, Explanation
from kerasish.insight.pictures import plot_confusion_matrix, plot_decision_boundary
from kerasish.insight.plotting import plot_model
from kerasish.insight.profile import profile
from kerasish.insight.profile_report import Profile, ProfileRow
from kerasish.insight.replay import Replay, replay
from kerasish.insight.sample_norms import SampleNorms, per_sample_gradient_norms
from kerasish.insight.summary import print_summary, summary

__all__ = [
    "CheckReport",
    "CheckRow",
    "ExplainedStep",
    "Explanation",
    "Profile",
    "ProfileRow",
    "Replay",
    "SampleNorms",
    "check",
    "explain",
    "per_sample_gradient_norms",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_model",
    "print_summary",
    "profile",
    "replay",
    "summary",
]
