"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.checking import CheckReport, CheckRow, check
from kerasish.insight.communication import CommunicationPlan, SentPart, communication_plan
from kerasish.insight.explaining import ExplainedStep, Explanation, explain
from kerasish.insight.memory import MemoryPlan, plan
from kerasish.insight.pictures import plot_confusion_matrix, plot_decision_boundary
from kerasish.insight.plotting import plot_model
from kerasish.insight.profiling import Profile, ProfileRow, profile
from kerasish.insight.replaying import Replay, replay
from kerasish.insight.sample_norms import SampleNorms, per_sample_gradient_norms
from kerasish.insight.summary import print_summary, summary
from kerasish.insight.tuning import BatchSizes, LearningRates, find_batch_size, lr_find

__all__ = [
    "BatchSizes",
    "CheckReport",
    "CheckRow",
    "CommunicationPlan",
    "ExplainedStep",
    "Explanation",
    "LearningRates",
    "MemoryPlan",
    "Profile",
    "ProfileRow",
    "Replay",
    "SampleNorms",
    "SentPart",
    "check",
    "communication_plan",
    "explain",
    "find_batch_size",
    "lr_find",
    "per_sample_gradient_norms",
    "plan",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_model",
    "print_summary",
    "profile",
    "replay",
    "summary",
]
