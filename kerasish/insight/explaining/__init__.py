"""What happens in a step? One batch forth and back, with formulas, shapes and norms."""

from kerasish.insight.explaining.explain import explain
from kerasish.insight.explaining.explanation import ExplainedStep, Explanation

__all__ = ["ExplainedStep", "Explanation", "explain"]
