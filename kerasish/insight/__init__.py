"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.batch_size import BatchSizes, find_batch_size
from kerasish.insight.learning_rate import LearningRates, lr_find
from kerasish.insight.profile import profile
from kerasish.insight.profile_report import Profile, ProfileRow
from kerasish.insight.summary import print_summary, summary

__all__ = ["BatchSizes", "LearningRates", "Profile", "ProfileRow", "find_batch_size", "lr_find",
           "print_summary", "profile", "summary"]
