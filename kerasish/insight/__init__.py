"""Functions of a model that show what it is and does, and leave no trace in it."""

from kerasish.insight.check import CheckReport, CheckRow, check
from kerasish.insight.explain import explain
from kerasish.insight.explanation import ExplainedStep, Explanation
from kerasish.insight.sample_norms import SampleNorms, per_sample_gradient_norms
from kerasish.insight.summary import print_summary, summary

__all__ = ["CheckReport", "CheckRow", "ExplainedStep", "Explanation", "SampleNorms", "check",
           "explain", "per_sample_gradient_norms", "print_summary", "summary"]
