"""Steps of training as compiled programs: traced once, handed to `torch.compile`, run many at once.

`compile(jit_compile=True)` makes a `Jit`; the loop asks it to run a few steps, and does by itself
what it does not.
"""

from kerasish.jit.executing import Jit

__all__ = ["Jit"]
