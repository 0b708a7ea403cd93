"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.profile import profile
from kerasish.insight.profile_report import Profile, ProfileRow
from kerasish.insight.summary import print_summary, summary

__all__ = ["Profile", "ProfileRow", "print_summary", "profile", "summary"]
