"""Counts what would be alive on a device, where nothing is computed and nothing is held."""

from typing import Any

from kerasish.insight.live import Live
from kerasish.insight.memory.kernels import as_laid, inner_bytes


class LiveOnMeta(Live):  # type: ignore[no-untyped-call]
    """The count that there would be on the device that the meta device stands for.

    What kernels take for themselves while they run is in it, as far as it is known.
    """

    def run(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """What an operation gives; one in place that the meta device has not makes nothing."""
        try:
            return as_laid(operation, args, operation(*args, **kwargs))
        except NotImplementedError:
            if not operation.name().split(".")[0].endswith("_"):
                raise
            return args[0] if operation._schema.returns else None

    def inner_bytes(self, operation: Any, args: Any, y: Any) -> int:
        """What its kernel takes."""
        return inner_bytes(operation, args, y)
