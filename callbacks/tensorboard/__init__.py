"""TensorBoard without TensorFlow: a callback made of pages, and the event files they write."""

from .callback import TensorBoard

__all__ = ["TensorBoard"]
