"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.check import CheckReport, CheckRow, check
from kerasish.insight.sample_norms import SampleNorms, per_sample_gradient_norms
from kerasish.insight.summary import print_summary, summary

__all__ = ["CheckReport", "CheckRow", "SampleNorms", "check", "per_sample_gradient_norms",
           "print_summary", "summary"]
