"""From class names to the snake_case that logs and `compile` use."""

import re


def snake_case(name: str) -> str:
    """BinaryAccuracy → binary_accuracy, MSE → mse.

    Example:
        >>> snake_case("BinaryCrossEntropy"), snake_case("MSE")
        ('binary_cross_entropy', 'mse')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
