"""What recurrent layers have in common around their walk: settings, weights, series and states."""

import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number
from kerasish.initializers import Orthogonal, kaiming_normal, zeros
from kerasish.layers.noise.dropout import Dropout
from kerasish.layers.sizes import Sized
from kerasish.parameter import Parameter
from kerasish.trees import sample_shapes
from kerasish.types import Device, Shape

Weights = tuple[Parameter, Parameter, Parameter | None, Parameter | None]
"""weight_ih, weight_hh, bias_ih and bias_hh of one direction of one layer."""

_orthogonal = Orthogonal()

States = list[Tensor]
"""The states (N, H) of one direction of one layer: h, and c if there is one."""


class Recurrent(Sized):
    """Base of recurrent layers: what they are made with, what goes in, and what comes back.

    Layers and directions are counted through as places: of two layers with two directions each,
    place 1 is the reverse one of the first.
    """

    parameter_names: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    size_names: ClassVar[tuple[str, str]] = ("input_size", "hidden_size")

    gates: ClassVar[int]
    """How many rows of the weights a unit has."""
    states: ClassVar[int] = 1
    """How many numbers a unit carries from step to step."""
    kept: ClassVar[int]
    """How many numbers a unit keeps of each step for backward."""

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        who = type(self).__name__
        self.input_size, self.hidden_size = self.sizes(input_size, hidden_size)
        self.num_layers = check_count(f"{who}(num_layers)", num_layers, 1, "1 is the usual number.")
        if not batch_first:
            raise ValueError(f"{who}(batch_first) expects True, the batch is axis 0; got "
                             f"{batch_first!r}. Leave it out, and swap x.transpose(0, 1).")
        self.batch_first = True
        self.dropout = check_number(f"{who}(dropout)", dropout, 0, 1)
        if self.dropout and self.num_layers == 1:
            depth = 2 if type(self).__init__ is Recurrent.__init__ else 3  # frames to the user
            warnings.warn(
                f"{who}(dropout) expects two layers or more, it drops between them; got "
                f"{dropout!r} with one. Put Dropout({dropout!r}) after it.", stacklevel=depth)
        self.between = Dropout(self.dropout) if self.dropout and self.num_layers > 1 else None
        self.use_bias, self.bidirectional = bias, bidirectional
        self.device, self.dtype = device, dtype
        self.return_sequences, self.return_state = return_sequences, return_state

    def build(self, shape: Any) -> Any:
        length, features = self._checked(shape)
        self.input_size = features
        ways, size, rows = self._ways, self.hidden_size, self.gates * self.hidden_size
        for index in range(self.num_layers * ways):
            name, made_for = self._name(index), features if index < ways else ways * size
            weight_ih = kaiming_normal((rows, made_for), self.device, self.dtype)
            setattr(self, f"weight_ih_{name}", Parameter(weight_ih))
            weight_hh = _orthogonal((rows, size), self.device, self.dtype)
            setattr(self, f"weight_hh_{name}", Parameter(weight_hh))
            for kind in ("bias_ih", "bias_hh") if self.use_bias else ():
                bias = zeros((rows,), self.device, self.dtype)
                setattr(self, f"{kind}_{name}", Parameter(bias, decay=False))
        y = (length, ways * size) if self.return_sequences else (ways * size,)
        return (y, *[(self.num_layers * ways, size)] * self.states) if self.return_state else y

    def own_bytes(self, shape: Any) -> int:
        (length, features), ways = _parts(shape)[0], self._ways
        inputs = features + (self.num_layers - 1) * ways * self.hidden_size
        units = self.num_layers * ways * self.hidden_size
        numbers: int = length * (inputs + self.kept * units) + self.states * units
        masks = (length, units - ways * self.hidden_size)
        dropped = 0 if self.between is None else self.between.own_bytes(masks)
        return numbers * (self.dtype or torch.get_default_dtype()).itemsize + dropped

    # ---- what goes in and comes back --------------------------------------------------------

    @property
    def _ways(self) -> int:
        return 2 if self.bidirectional else 1

    def _name(self, place: int) -> str:
        """What torch adds to the names of the parameters: "l0", "l0_reverse", "l1", ..."""
        layer, way = divmod(place, self._ways)
        return f"l{layer}{'_reverse' * way}"

    def _weights(self, place: int) -> Weights:
        name = self._name(place)
        weights = getattr(self, f"weight_ih_{name}"), getattr(self, f"weight_hh_{name}")
        if not self.use_bias:
            return *weights, None, None
        return *weights, getattr(self, f"bias_ih_{name}"), getattr(self, f"bias_hh_{name}")

    def _checked(self, shape: Any) -> Shape:
        """The shape of x, (T, features).

        Raises: ValueError for another one, or for states that do not fit the layers.
        """
        x, *starts = _parts(shape)
        if not isinstance(x, tuple) or len(x) != 2 or x[0] < 1:
            got = f"(N, {', '.join(map(str, x))})" if isinstance(x, tuple) else repr(x)
            raise ValueError(f"{self!r} expects x of shape (N, T, features) with a step or more; "
                             f"got {got}. Give each sample an axis of time.")
        if self.input_size not in (None, x[1]):
            raise ValueError(f"{self!r} expects {self.input_size} features on the last axis of x; "
                             f"got {x[1]}. Give it such data, or make a layer for {x[1]}.")
        state = (self.num_layers * self._ways, self.hidden_size)
        if starts and starts != [state] * self.states:
            names = ", ".join(("h0", "c0")[: self.states])
            raise ValueError(
                f"{self!r} expects (x, {names}) with states of shape (N, {state[0]}, {state[1]}), "
                f"the batch first; got {', '.join(map(str, starts))} a sample. Torch's have the "
                "batch second: swap h0.transpose(0, 1)."
            )
        return x

    def _taken(self, x: Any) -> tuple[Tensor, list[Tensor]]:
        """X time first, and the states it starts from, (N, layers · directions, H); zeros if none.

        Integers are read as floats.
        """
        self._checked(sample_shapes(x))
        series, *starts = (x,) if isinstance(x, Tensor) else x
        if not series.is_floating_point():
            series = series.to(self._weights(0)[0].data.dtype)
        if not starts:
            shape = len(series), self.num_layers * self._ways, self.hidden_size
            starts = [series.new_zeros(shape)] * self.states
        return series.transpose(0, 1).contiguous(), starts

    def _arriving(self, dy: Any, shape: Shape) -> tuple[Any, list[States]]:
        """The gradients of all h_t of the last layer, if any, and of all states at the end.

        Args:
            dy: that of what forward returned.
            shape: of the last layer's series, (T, N, ways · H).
        """
        dh, *dends = dy if self.return_state else (dy, *[None] * self.states)
        size, places = self.hidden_size, self.num_layers * self._ways
        like = next(part for part in (dh, *dends) if part is not None)
        arriving = [[like.new_zeros(shape[1], size) if part is None else part[:, place].clone()
                     for part in dends] for place in range(places)]
        if dh is None or self.return_sequences:
            return dh if dh is None else dh.transpose(0, 1), arriving
        for (last, *_), part in zip(arriving[-self._ways:], dh.split(size, -1), strict=True):
            last.add_(part)
        return None, arriving


def _parts(tree: Any) -> tuple[Any, ...]:
    """The shapes of x and of the states it is given with; that of x alone."""
    several = isinstance(tree, tuple) and tree and isinstance(tree[0], tuple)
    return tree if several else (tree,)
