"""What tools work on: a copy of a model, and random numbers that are put back afterwards."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerasish.random import drawing_from, global_states, set_global_states


@contextmanager
def twin(model: Any) -> Iterator[Any]:
    """A copy of a model, or of a module, to do anything with: no trace is left in the original.

    Weights, optimizer, counters and modes are the copy's own. What is drawn inside the block, from
    Python's, numpy's or torch's global generators, is undrawn at its end; errors end it as well.

    Example:
        >>> from kerasish.layers import Linear
        >>> layer = Linear(2)
        >>> with twin(layer) as copied:
        ...     shape = copied.build((3,))
        >>> layer.built
        False
    """
    states = global_states()
    try:
        with drawing_from(None):
            yield copy.deepcopy(model)
    finally:
        set_global_states(states)
