"""Are the gradients right? The whole model and its loss against finite differences."""

from kerasish.insight.checking.check import CheckReport, CheckRow, check

__all__ = ["CheckReport", "CheckRow", "check"]
