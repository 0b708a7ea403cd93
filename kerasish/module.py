"""The contract of everything with a forward and a backward: what it keeps, declares and answers."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.configured import argument_names, is_plain
from kerasish.differentiable import Differentiable, saving
from kerasish.hangings import Hangings, hang, hangings
from kerasish.node import Node
from kerasish.parameter import Parameter
from kerasish.paths import joined, load, load_awaited, move, state, values, walk
from kerasish.random import drawing_from
from kerasish.trees import leaves, sample_shapes
from kerasish.types import Device, Shape

Kernels = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]


def _build_once(build: Callable[[Any, Shape], Shape]) -> Callable[[Any, Shape], Shape]:
    """Lets a `build` run once for parameters, and afterwards for the output shape alone."""

    def build_or_infer(self: "Module", shape: Shape) -> Shape:
        if not self.built:
            before = dict(vars(self))
            self.output_shape = build(self, shape)
            self._learned = _learned(self, before)
            self.input_shape, self.built = shape, True
            self._finish()
            load_awaited(self)
        elif shape != self.input_shape:
            return _inferred(build, self, shape)
        return self.output_shape

    build_or_infer.__doc__ = build.__doc__
    return build_or_infer


def _learned(module: "Module", before: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that build has filled in, `in_features` say: nobody set them."""
    return {name: value for name in argument_names(type(module))[0]
            if is_plain(value := vars(module).get(name, before)) and (
                value is not before.get(name, before))}


def _inferred(build: Callable[[Any, Shape], Shape], module: "Module", shape: Shape) -> Shape:
    """The output shape for another input shape, from a throwaway copy that holds no numbers."""
    probe = module.__copy__()
    probe.built = False
    with torch.device("meta"), drawing_from(None):
        output = build(probe, shape)
    built_for = {name: p.shape for name, p in values(module, Parameter)}
    needed = {name: p.shape for name, p in values(probe, Parameter)}
    if built_for != needed:
        raise ValueError(
            f"{module!r} was built for inputs of shape {module.input_shape} a sample; got {shape}. "
            "Make a new module for other sizes.")
    return output


class Module(Differentiable):
    """Base of all layers and containers: a formula, its derivative, and its parameters.

        y = forward(x)        dx = backward(dy), which also adds into each `parameter.grad`

    A subclass writes `__init__` (settings), `build` (parameters), `forward` and `backward`. The
    batch is axis 0 of x, always. Parameters, buffers and child modules are found among the
    attributes.

    Example:
        >>> class Scale(Module):
        ...     formula = "y = w x"
        ...     def build(self, shape):
        ...         self.weight = Parameter(torch.ones(shape))
        ...         return shape
        ...     def forward(self, x):
        ...         self.save_for_backward(x)
        ...         return x * self.weight.data
        ...     def backward(self, dy):
        ...         (x,) = self.saved_tensors()
        ...         self.weight.grad += (dy * x).sum(0)
        ...         return dy * self.weight.data
        >>> Scale()(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """

    formula: ClassVar[str] = "y = f(x)"
    """What forward computes, in one line of text."""

    backward_reads: ClassVar[frozenset[str]] = frozenset({"input", "output"})
    """Which of forward's tensors backward needs unchanged: "input", "output", both or neither.
    The cautious answer here holds for each subclass that does not declare its own."""

    returns_view: ClassVar[bool] = True
    """Whether y may share memory with x, or dx with dy."""

    fuses: ClassVar[bool] = False
    """Whether forward takes the kernels of an activation as `activation`, to run them itself."""

    kernels: ClassVar[Kernels | None] = None
    """For an activation: the kernel that turns x into y in place, and the one that turns (dy, y)
    into dx. A container may let the module before it run them, which saves calls, not a bit."""

    keeps_values: ClassVar[bool] = False
    """Whether y holds the values of x, in another shape say: what is before decides about them."""

    y_range: ClassVar[tuple[float, float] | None] = None
    """The interval that y lies in, if known: losses and "accuracy" take a hint from it."""

    parameter_names: ClassVar[tuple[str, ...]] = ()
    """Parameters that an initializer, a regularizer or a constraint may be given for by argument:
    with "weight" in it the module takes `weight_initializer` and so on."""

    own_precision: ClassVar[frozenset[str]] = frozenset()
    """Kinds of devices on which parameters stay in float32 beside an x of a smaller type."""

    least_batch = 1
    """Samples that a batch must have in training; known once the module is built."""

    training = True
    built = False
    input_shape: Shape
    output_shape: Shape
    _buffer_names: tuple[str, ...] = ()
    _hangings: Hangings = ()
    _learned: Mapping[str, Any] = MappingProxyType({})
    _set_for_all: Mapping[str, Any] = MappingProxyType({})
    _awaiting: tuple[Mapping[str, Tensor], Collection[str], str] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _build_once(cls.build)  # type: ignore[assignment, method-assign]

    def __init__(self, **per_parameter: Any) -> None:
        """Takes what hangs on single parameters: `weight_regularizer="l2"`, for instance."""
        self._hangings = hangings(type(self), per_parameter)

    # ---- what a subclass writes -------------------------------------------------------------

    def build(self, shape: Shape) -> Shape:
        """Makes the parameters for inputs of this shape, batch axis left out; runs no data.

        Its body runs once. Asked again, `build` answers the output shape of a further input shape,
        or refuses it.

        Returns: the shape of the output, without the batch axis.
        """
        return shape

    def forward(self, x: Any) -> Any:
        """Computes y from x, and saves what backward needs with `save_for_backward`."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward(x) method. Write it.")

    def backward(self, dy: Any) -> Any:
        """Turns dL/dy into dL/dx, and adds dL/dw into the `grad` of each parameter w."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a backward(dy) method that returns dx: kerasish has no "
            "autograd. Write it, and prove it with kerasish.gradcheck.check_gradients.")

    def unwind(self, dy: Any = None) -> None:
        """Drops what the latest forward saved, where no gradient comes back to it.

        Enough for a leaf, whose forward saves once in every call or never; a container whose
        children should be unwound as well passes it on to them in reverse.
        """
        if self._saved:
            self._saved.pop()

    def own_bytes(self, shape: Shape) -> int:
        """Bytes a sample that forward saves besides its input and output, a mask for instance."""
        return 0

    # ---- what every module can do -----------------------------------------------------------

    def __call__(self, x: Any, *more: Any) -> Any:
        """The same as `forward`; builds the module first if it is not built yet.

        Several inputs may be given one by one, or as the tuple that forward takes. A symbolic input
        of a Graph gives a symbolic output.
        """
        x = (x, *more) if more else x
        parts = list(leaves(x))
        if any(isinstance(part, Node) for part in parts):
            return Node(self, x)
        if not parts or not all(isinstance(part, Tensor) for part in parts):
            raise TypeError(f"{self!r}(x) expects a tensor, or a tuple or dict of them; got "
                            f"{type(x).__name__}. Write torch.as_tensor(x).")
        if not self.built:
            self.build(sample_shapes(x))
        return self.forward(x)

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters; False freezes this module and all below it.

        May be set at any time, before the module is built too, and takes effect at once.
        """
        return bool(self._set_for_all.get("trainable", True))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_all("trainable", bool(value))

    @property
    def learning_rate_multiplier(self) -> float:
        """Scales the optimizer's learning rate for all parameters here and below; 1.0 at first."""
        return float(self._set_for_all.get("learning_rate_multiplier", 1.0))

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        who = f"{type(self).__name__}.learning_rate_multiplier"
        self._set_all("learning_rate_multiplier", check_number(who, value, 0))

    def _set_all(self, name: str, value: Any) -> None:
        for module in self.modules():
            module._set_for_all = {**module._set_for_all, name: value}
        for parameter in self.parameters():
            setattr(parameter, name, value)

    def _finish(self) -> None:
        """Settings that were waiting for the parameters."""
        own = list(values(self, Parameter))
        hang(self._hangings, own)
        for name, value in self._set_for_all.items():
            for _, parameter in own:
                setattr(parameter, name, value)

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules among the attributes, with their names."""
        return values(self, Module)

    def children(self) -> Iterator["Module"]:
        """The modules that this one is made of."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it with their paths, "" and "0.1"; a shared one comes once."""
        seen: set[int] = set()
        for path, module in walk(self, prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module

    def modules(self) -> Iterator["Module"]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with torch's paths, "weight" or "0.weight"; a shared one comes once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, parameter in values(module, Parameter):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield joined(path, name), parameter

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Makes a tensor that is kept but not trained, a running mean say, part of the state."""
        with torch.inference_mode(False):
            setattr(self, name, tensor.clone() if tensor.is_inference() else tensor)
        self._buffer_names = (*self._buffer_names, name)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        for path, module in self.named_modules():
            for name in module._buffer_names:
                yield joined(path, name), getattr(module, name)

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def train(self, mode: bool = True) -> "Module":
        """Switches behaviour, dropout and batch statistics for instance, to training."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Switches behaviour to evaluation; what forward saves does not depend on it."""
        return self.train(False)

    def inference(self) -> AbstractContextManager[None]:
        """Inside the block forward saves nothing for backward, in this thread."""
        return saving(False)

    def zero_grad(self) -> None:
        """Clears all gradients, and drops what a failed step left on the stacks."""
        for module in self.modules():
            for _, parameter in values(module, Parameter):
                parameter.grad.zero_()
            module.forget()

    def to(
        self, device: Device | torch.dtype | None = None, dtype: torch.dtype | None = None
    ) -> "Module":
        """Moves or converts parameters and floating buffers; shared ones stay shared.

        As in torch, a type may be the only argument: `to(torch.float64)`.

        Raises: RuntimeError once the module belongs to a compiled model.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        move(self, device, dtype)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers by path: contiguous, in torch's names and shapes."""
        with torch.inference_mode(False):
            return {path: value.clone(memory_format=torch.contiguous_format)
                    for path, value in state(self)}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Copies values in by path; floating types are cast. Nothing changes if one does not fit.

        Raises: ValueError naming missing and unexpected paths and other shapes.
        """
        load(repr(self), dict(state(self)), state_dict)

    def load_when_built(
        self, state_dict: Mapping[str, Tensor], frozen: Collection[str] = (), origin: str = ""
    ) -> None:
        """Copies values in by path as soon as there is a place for them: now, or at build.

        Parameters whose paths are in `frozen` become `trainable=False`. The file that they are
        from, `origin`, is named if they do not fit then.
        """
        self._awaiting = (
            {path: value.detach().clone() for path, value in state_dict.items()}, frozen, origin)
        if self.built:
            load_awaited(self)

    def __copy__(self) -> "Module":
        twin: Module = type(self).__new__(type(self))
        vars(twin).update(vars(self), _saved=[])
        return twin


Module.build = _build_once(Module.build)  # type: ignore[assignment, method-assign]
