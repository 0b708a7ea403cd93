"""Who trains the workloads: one file each, and a line of this table.

A file has a function `prepare(workload)` that makes net, data and optimizer ready, and answers a
`Training`. Each contestant has a process of its own, which alone imports its file.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import NamedTuple


class Training(NamedTuple):
    """A net that is ready to be trained."""

    run: Callable[[int], float]
    """Trains for so many epochs, each in an order of its own; it is done when this returns.

    It answers the mean loss of the last epoch: all contestants start from the same numbers."""
    parameters: int
    """How many numbers it trains: all contestants have as many."""


class Unfit(Exception):
    """A contestant has nothing for a workload, and says why."""


class Contestant(NamedTuple):
    """Where it is, and what it needs."""

    file: str
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})

    @property
    def absent(self) -> str | None:
        """What to install first, if anything."""
        missing = [name for name in self.packages if find_spec(name) is None]
        if not missing:
            return None
        return f"needs {' and '.join(missing)}: pip install 'kerasish[bench]'"


OURS = "kerasish"
"""What all others are compared with."""
CONTESTANTS = {
    OURS: Contestant("kerasish_fit"),
    "kerasish jit": Contestant("kerasish_jit"),
    "kerasish bf16": Contestant("kerasish_bf16"),
    "bare loop": Contestant("bare_loop"),
    "plain torch": Contestant("plain_torch"),
    "torch tuned": Contestant("tuned_torch"),
    "Keras/torch": Contestant("keras_fit", ("keras",), {"KERAS_BACKEND": "torch"}),
    "Keras/jax": Contestant("keras_fit", ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "Poutyne": Contestant("poutyne_fit", ("poutyne",)),
    "skorch": Contestant("skorch_fit", ("skorch",)),
    "JAX scan": Contestant("jax_scan", ("jax",)),
}
