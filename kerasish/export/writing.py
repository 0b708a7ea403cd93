"""From kerasish to torch.nn and to ONNX."""

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from os import PathLike
from typing import Any

import torch
from torch import nn

from kerasish import containers, layers
from kerasish.export import containers as wiring
from kerasish.export import layers as outside
from kerasish.export.agreement import compare, drawn, rest
from kerasish.module import Module
from kerasish.saving.settings import present_config
from kerasish.trees import is_shape, mapped


def to_torch(model: Any, check: bool = True, sample: Any = None) -> nn.Module:
    """The same net as a `torch.nn` module with the same weights, names and numbers.

    Several inputs, in a tuple or a dict, come as one argument, as in kerasish. What does not train
    has requires_grad=False; a frozen batch norm is left in evaluation mode, as it runs here.

    Raises: RuntimeError for a model that is not built; TypeError naming a module without a twin;
        ArithmeticError if the check finds a difference above 1e-9 of a tensor's scale.

    Args:
        model: a Model or a Module.
        check: whether outputs and all gradients are compared, in float64, with autograd's; the
            largest difference is printed.
        sample: a batch for the check; drawn if it is left out.

    Example:
        >>> from kerasish.layers import Linear
        >>> net = Linear(2, 3)
        >>> net.build((2,))
        (3,)
        >>> to_torch(net, check=False)
        Linear(in_features=2, out_features=3, bias=True)
    """
    module = _module("to_torch", model)
    twin = twin_of(module)
    state = module.state_dict()
    twin.load_state_dict(state)
    for value in [value for value in state.values() if value.is_floating_point()][:1]:
        twin.to(value.device, value.dtype)
    rest(module, twin.train(module.training))
    if check:
        found = compare(module, twin, sample)
        print(f"to_torch: outputs and {found.gradients} gradients agree; the largest difference, "
              f"{found.share:.1e} of the scale, is in {found.name}.")
    for path, parameter in module.named_parameters():
        twin.get_parameter(path).requires_grad_(parameter.trainable)
    return twin


def to_onnx(model: Any, path: str | PathLike[str], sample: Any = None) -> None:
    """Writes the net, in evaluation mode, as an ONNX file; needs the packages of `kerasish[onnx]`.

    The input of the file is called "x", the output "y"; those in a dict by their names, those in a
    tuple "x0", "x1" and so on.

    Raises: as `to_torch`; ImportError if a package is missing.

    Args:
        model: a Model or a Module.
        path: of the file.
        sample: a batch to trace the net with; drawn if it is left out.
    """
    module = _module("to_onnx", model)
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ImportError(f"to_onnx(model) expects the packages of kerasish[onnx]; got no "
                          f"{' and no '.join(missing)}. Run: pip install 'kerasish[onnx]'.")
    twin = to_torch(module, check=False).eval()
    x = drawn(module, 2) if sample is None else sample
    rows = mapped(lambda _: {0: torch.export.Dim.DYNAMIC}, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about torch
        program = torch.onnx.export(twin, (x, {}), dynamo=True, verbose=False,  # {}: no keywords
                                    input_names=_names("x", module.input_shape),
                                    output_names=_names("y", module.output_shape),
                                    dynamic_shapes=(rows,))
    assert program is not None
    program.save(path)


def _names(name: str, shapes: Any) -> list[str]:
    """A name for each tensor of these shapes."""
    if is_shape(shapes):
        return [name]
    parts = shapes.items() if isinstance(shapes, dict) else (
        (f"{name}{place}", part) for place, part in enumerate(shapes))
    return [each for part_name, part in parts for each in _names(part_name, part)]


def _module(who: str, model: Any) -> Module:
    module = model if isinstance(model, Module) else getattr(model, "module", None)
    if not isinstance(module, Module):
        raise TypeError(f"{who}(model) expects a Model or a Module; got {model!r}. "
                        "from_torch goes the other way.")
    if not module.built:
        raise RuntimeError(f"{who}(model) expects a model that is built; got {model!r}, which is "
                           "not. Call build(shape), or fit it first.")
    return module


def twin_of(module: Module, made: dict[int, nn.Module] | None = None) -> nn.Module:
    """The `torch.nn` module of the same kind; a module that comes twice has one twin.

    Raises: TypeError naming a module without a twin.
    """
    made = {} if made is None else made
    if id(module) not in made:
        kind = type(module)
        if kind in TWINS:
            made[id(module)] = TWINS[kind](module, lambda part: twin_of(part, made))
        elif kind is getattr(layers, kind.__name__, None) and hasattr(nn, kind.__name__):
            made[id(module)] = _namesake(module)
        else:
            raise TypeError(f"to_torch(model) expects modules with a twin in torch; got {module!r} "
                            "without. Write its forward for torch, and put that in its place.")
    return made[id(module)]


def _namesake(module: Module, _: Any = None, cls: Any = None, **more: Any) -> nn.Module:
    """The class of torch of the same name, or another, with the same settings and some more."""
    found = getattr(nn, type(module).__name__) if cls is None else cls
    twin: nn.Module = found(**settings(module, getattr(nn, type(module).__name__)) | more)
    return twin


def settings(module: Module, cls: type) -> dict[str, Any]:
    """The arguments that torch's class knows; what was inferred is read off the module."""
    config, found = present_config(module), {}
    for name in inspect.signature(cls).parameters:
        value, own = config.get(name), getattr(module, name, None)
        if value is None and isinstance(own, int | float | str | tuple):
            value = own
        if value is not None and name not in ("device", "dtype"):
            found[name] = value
    return found


def _recurrent(module: Any, _: Any) -> nn.Module:
    """Torch's own constructors take anything: their arguments are those of their base."""
    known = [*inspect.signature(nn.RNNBase).parameters, "nonlinearity"]
    config = {name: value for name, value in present_config(module).items() if name in known[1:]}
    config |= {"input_size": module.input_size, "hidden_size": module.hidden_size,
               "batch_first": True}
    twin = getattr(outside, type(module).__name__)(**config)
    twin.return_sequences, twin.return_state = module.return_sequences, module.return_state
    return twin  # type: ignore[no-any-return]


def _attending(module: Any, twin: Callable[[Module], nn.Module]) -> nn.Module:
    more: dict[str, Any] = {"batch_first": True}
    if present_config(module).get("activation", "") not in ("", "relu", "gelu"):
        more["activation"] = twin(module.activation).forward  # torch's copies lose a module
    made = _namesake(module, cls=getattr(outside, type(module).__name__), **more)
    made.causal = module.causal
    return made


def _graph(module: Any, twin: Callable[[Module], nn.Module]) -> nn.Module:
    calls = [(module.parts.index(node.module), wire)
             for node, wire in zip(module._nodes, module._wires, strict=True)]
    return wiring.Graph(map(twin, module.parts), calls, module.inputs, module._outputs)


Twin = Callable[[Any, Callable[[Module], nn.Module]], nn.Module]
TWINS: dict[type[Module], Twin] = {
    layers.Bilinear: partial(_namesake, cls=outside.Bilinear),
    layers.CELU: partial(_namesake, cls=outside.CELU),
    layers.Reshape: lambda m, _: outside.Reshape(m.target_shape),
    layers.Permute: lambda m, _: outside.Permute(m.dims),
    layers.Lambda: lambda m, _: outside.Function(m.function, m.derivative, m.shape_of_y),
    layers.GaussianNoise: lambda m, _: outside.GaussianNoise(m.stddev),
    layers.GlobalAvgPool: lambda m, _: outside.GlobalPool(False, m.keepdims),
    layers.GlobalMaxPool: lambda m, _: outside.GlobalPool(True, m.keepdims),
    layers.PositionalEncoding: lambda m, _: outside.PositionalEncoding(),
    layers.RNN: _recurrent,
    layers.LSTM: _recurrent,
    layers.GRU: _recurrent,
    layers.MultiheadAttention: _attending,
    layers.TransformerEncoderLayer: _attending,
    layers.TransformerDecoderLayer: _attending,
    layers.TransformerEncoder: lambda m, twin: outside.TransformerEncoder(
        list(map(twin, m.layers)), None if m.norm is None else twin(m.norm)),
    containers.Sequential: lambda m, twin: nn.Sequential(*map(twin, m.layers)),
    containers.Residual: lambda m, twin: wiring.Residual(
        twin(m.body), twin(m.shortcut), twin(m.merge)),
    containers.Parallel: lambda m, twin: wiring.Parallel(
        map(twin, m.branches), None if m.merge is None else twin(m.merge)),
    containers.Concat: lambda m, _: wiring.Concat(m.axis),
    containers.Add: lambda m, _: wiring.Add(),
    containers.Multiply: lambda m, _: wiring.Multiply(),
    containers.Pick: lambda m, _: wiring.Pick(m.key),
    containers.Shared: lambda m, twin: wiring.Shared(twin(m.module)),
    containers.Recompute: lambda m, twin: wiring.Recompute(twin(m.module)),
    containers.Graph: _graph,
}
"""How the twin is made where torch has no class of the same name."""
