"""How much memory a step takes, known before anything runs."""

from kerasish.insight.memory.planning import plan
from kerasish.insight.memory.report import MemoryPlan, Row

__all__ = ["MemoryPlan", "Row", "plan"]
