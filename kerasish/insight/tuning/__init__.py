"""Which learning rate, which batch size? Short trainings of a copy tell."""

from kerasish.insight.tuning.batch_size import BatchSizes, find_batch_size
from kerasish.insight.tuning.learning_rate import LearningRates, lr_find

__all__ = ["BatchSizes", "LearningRates", "find_batch_size", "lr_find"]
