"""Data to try things on."""

from kerasish.datasets.disc import disc

__all__ = ["disc"]
