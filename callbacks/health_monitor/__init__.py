"""Watches the health of a net while it trains: what is dead, what vanishes, what explodes."""

from .alarm import Alarm
from .callback import HealthMonitor

__all__ = ["Alarm", "HealthMonitor"]
