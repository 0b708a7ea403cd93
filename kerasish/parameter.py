"""A trained tensor with its gradient: what optimizers change and backward passes add into."""

from typing import Any, ClassVar

import torch
from torch import Tensor

_FEW_ROWS = 256
"""Up to here one product with ones is the fastest sum over rows, and as exact as the product that
gives the weight its gradient; beyond, torch's pairwise sum has the smaller rounding error."""
_COUNTS = 8
"""Numbers of rows that ones are kept for: a batch, a last one that is smaller, and some more."""


_HUNG = ("regularizer", "constraint", "learning_rate_multiplier")
_SETTINGS = (*_HUNG, "trainable", "decay")
KEPT = (*_HUNG, "channels_last")
"""What copies have, too, besides what they are made with."""
"""What plans depend on."""
_STORED = ("data", "grad", "data_t", "flat", "_ones")

Storage = tuple[Any, ...]
"""Where the numbers of a parameter are, and what is made from that once."""


def storage_of(data: Tensor, grad: Tensor, flat: object | None = None) -> Storage:
    """The storage that these tensors are, within these flat vectors if they lie in any."""
    return data, grad, data.t() if data.dim() <= 2 else data, flat, {}


class Parameter:
    """A tensor to train, and the gradient of the loss with respect to it.

    Write into `data` and `grad`; assigning copies into them, so they stay what they are once a
    model is compiled and built: views into its flat vectors.

    Shapes: data and grad are the same, any.

    Args:
        data: the initial values, of floating type.
        trainable: False leaves the values as they are: no gradient is computed, no step taken.
        decay: whether weight decay applies; modules set False for biases and norms.

    Raises: TypeError if data is not a floating tensor; ValueError if an assigned tensor has another
        shape.

    Example:
        >>> weight = Parameter(torch.ones(2))
        >>> weight.grad += 1.0
        >>> weight.grad
        tensor([1., 1.])
    """

    __slots__ = ("_ones", "channels_last", "constraint", "data", "data_t", "decay", "flat", "grad",
                 "learning_rate_multiplier", "regularizer", "trainable")

    data: Tensor
    grad: Tensor
    trainable: bool
    """Whether training changes the values; may be set at any time and takes effect at once."""
    data_t: Tensor
    """The transposed view of a matrix, made once: a view costs as much as a small product."""
    _ones: dict[int, Tensor]
    flat: object | None
    """The flat vectors that data and grad are views into, if any."""

    regularizer: Any
    """A Regularizer, whose penalty on the values is added to the loss, or None."""
    constraint: Any
    """A Constraint, which limits the values after each update, or None."""
    learning_rate_multiplier: float
    """Scales the optimizer's learning rate for this parameter; 1.0 at first."""
    channels_last: bool
    """Whether flat vectors on a CPU hold the kernels of a convolution channels-last, as the images
    lie that they meet; False at first. The shape is the same."""

    revisions: ClassVar[int] = 0
    """How often any parameter was frozen, thawed or otherwise set: plans made from these settings
    are renewed when this number moves, so they take effect at once and cost nothing in between."""

    def __init__(self, data: Tensor, trainable: bool = True, decay: bool = True) -> None:
        if not isinstance(data, Tensor) or not data.is_floating_point():
            kind = data.dtype if isinstance(data, Tensor) else type(data).__name__
            raise TypeError(
                f"Parameter(data) expects a tensor of floating type; got {kind}. "
                "Convert it with .float() first."
            )
        self.flat = self.regularizer = self.constraint = None
        self.decay, self.trainable, self.learning_rate_multiplier = decay, trainable, 1.0
        self.channels_last = False
        with torch.inference_mode(False):  # parameters outlive every step
            own = data.detach().clone(memory_format=torch.contiguous_format)
            self.place(own, own.clone().zero_())

    @property
    def shape(self) -> torch.Size:
        """The shape of data and grad."""
        return self.data.shape

    def place(self, data: Tensor, grad: Tensor, flat: object | None = None) -> None:
        """Makes these tensors, which hold the values already, the storage of the parameter."""
        self.lie_in(storage_of(data, grad, flat))

    @property
    def storage(self) -> Storage:
        """Where the numbers are now; `lie_in` goes back there."""
        return tuple(getattr(self, name) for name in _STORED)

    def lie_in(self, storage: Storage) -> None:
        """Makes this the storage. The one there was stays as it is, for whoever keeps it."""
        put = super().__setattr__
        for name, part in zip(_STORED, storage, strict=True):
            put(name, part)

    def add_row_sum(self, rows_t: Tensor) -> None:
        """Adds Σ over rows to the gradient of a vector: a bias meets each row of a batch once.

        Shapes: rows_t (features, rows), the batch transposed; grad (features,).
        """
        count = rows_t.shape[1]
        if count > _FEW_ROWS:
            self.grad.add_(rows_t.sum(1))
            return
        ones = self._ones.get(count)
        if ones is None:
            if len(self._ones) == _COUNTS:
                self._ones.clear()
            with torch.inference_mode(False):
                ones = self._ones[count] = self.data.new_ones(count)
        self.grad.addmv_(rows_t, ones)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("data", "grad"):
            self._copy_into(name, value)
        else:
            if name in _SETTINGS and getattr(self, name, value) is not value:
                Parameter.revisions += 1
            super().__setattr__(name, value)

    def _copy_into(self, name: str, value: Tensor) -> None:
        place = getattr(self, name)
        if value is place:  # `parameter.grad += g` ends in such an assignment
            return
        if not isinstance(value, Tensor) or value.shape != place.shape:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"Parameter.{name} expects a tensor of shape {tuple(place.shape)}; got {got}. "
                "Make a new module for other sizes."
            )
        place.copy_(value.detach())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        twin = Parameter(self.data, self.trainable, self.decay)
        for name in KEPT:
            setattr(twin, name, getattr(self, name))
        twin.grad.copy_(self.grad)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: getattr(self, name) for name in _HUNG}
        return Parameter, (self.data.clone(), self.trainable, self.decay), (None, state)

    def __repr__(self) -> str:
        return f"Parameter(shape={tuple(self.shape)}, trainable={self.trainable})"
