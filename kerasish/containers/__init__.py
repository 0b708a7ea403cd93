"""Modules that are made of modules."""

from kerasish.containers.sequential import Sequential

__all__ = ["Sequential"]
