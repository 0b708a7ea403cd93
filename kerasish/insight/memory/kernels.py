"""What kernels make for themselves and free before they return: no operation shows it."""

from typing import Any


def inner_bytes(operation: Any, args: Any, y: Any) -> int:
    """Bytes that a kernel takes besides its inputs and outputs."""
    return 0
