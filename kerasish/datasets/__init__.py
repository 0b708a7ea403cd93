"""Data to try things on."""

from kerasish.datasets.digit_pairs import digit_pairs
from kerasish.datasets.disc import disc
from kerasish.datasets.mnist import mnist

__all__ = ["digit_pairs", "disc", "mnist"]
