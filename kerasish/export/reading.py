"""From torch.nn to kerasish."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kerasish import containers, layers
from kerasish.containers.wiring import placed
from kerasish.export import containers as wiring
from kerasish.export import layers as outside
from kerasish.module import Module
from kerasish.node import Node
from kerasish.trees import leaves, mapped


def from_torch(module: nn.Module, shape: Any = None) -> Module:
    """The same net as a kerasish module with the same weights; it takes them on when it is built.

    What does not train in torch does not train here. The way back from `to_torch` is one of them.
    Recurrent modules answer as torch's do, all steps and the states at the end, in one tuple:
    (y, h), or (y, h, c) for an LSTM, and states have the batch as axis 0. MultiheadAttention
    answers the output alone.

    Raises: TypeError naming a module that kerasish has no twin for; ValueError for a setting that
        kerasish has not, batch_first=False say, or that means something else here.

    Args:
        module: a module of `torch.nn`, or an `nn.Sequential` of such, or what `to_torch` made.
        shape: of a sample, to build the module for; None leaves that to the first data.

    Example:
        >>> from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), (2,))
        Sequential(Linear(in_features=2, out_features=3, bias=True), ReLU(inplace=False))
    """
    made = _from_torch(module, module, {})
    if shape is not None:
        made.build(shape)
    return made


def _from_torch(module: nn.Module, root: nn.Module, made: dict[int, Module]) -> Module:
    """A module that comes twice is made once."""
    if id(module) not in made:
        kind = type(module)
        namesake = kind is getattr(nn, kind.__name__, None) and hasattr(layers, kind.__name__)
        read = WIRINGS.get(kind) or READERS.get(kind) or (_namesake if namesake else None)
        if read is None:
            path = next(path for path, part in root.named_modules() if part is module)
            place = f" at {path!r}" if path else ""
            raise TypeError(f"from_torch(module) expects modules that kerasish has; got "
                            f"{module!r}{place}. Write it as a Module, and build the net around "
                            "it.")
        found = read(module, lambda part: _from_torch(part, root, made))
        if kind in WIRINGS:  # the names of parts may differ, and each has what is its own
            found.training = module.training
        else:
            found.train(module.training).load_when_built(module.state_dict(), [
                name for name, p in module.named_parameters() if not p.requires_grad])
        made[id(module)] = found
    return made[id(module)]


# ---- leaf modules -----------------------------------------------------------------------------


def _namesake(module: nn.Module, _: Any = None, **more: Any) -> Module:
    """The class of kerasish of the same name, with the arguments read off torch's attributes."""
    known = inspect.signature(type(module)).parameters
    found = {name: getattr(module, name) for name in known if hasattr(module, name)}
    if "bias" in found:
        found["bias"] = module.bias is not None
    return _made(module, **found | more)


def _made(module: nn.Module, **settings: Any) -> Module:
    """The class of kerasish of the same name, of the same floating type."""
    floats = [value for value in module.state_dict().values() if value.is_floating_point()]
    if floats and floats[0].dtype != torch.get_default_dtype():
        settings["dtype"] = floats[0].dtype
    made: Module = getattr(layers, type(module).__name__)(**settings)
    return made


def _softmax(module: Any, _: Any) -> Module:
    if module.dim is None:
        raise ValueError(f"from_torch({type(module).__name__}(dim)) expects an axis; got None, for "
                         "which torch guesses one. Set its dim to 1, where classes lie.")
    return _namesake(module)


def _recurrent(module: Any, _: Any) -> Module:
    """Torch's own constructors take anything: their arguments are those of their base."""
    known = inspect.signature(getattr(layers, type(module).__name__)).parameters
    found = {name: getattr(module, name) for name in known if hasattr(module, name)}
    return _made(module, **{"return_sequences": True, "return_state": True} | found)


def _attention(module: Any, _: Any) -> Module:
    return _namesake(module, bias=module.in_proj_bias is not None,
                     add_bias_kv=module.bias_k is not None,
                     causal=getattr(module, "causal", False))


def _transformer_layer(module: Any, back: Callable[[nn.Module], Module]) -> Module:
    """Torch's keeps nothing but its parts, and they were all made with the same settings."""
    attention = module.self_attn
    return _made(module, d_model=attention.embed_dim, nhead=attention.num_heads,
                 dim_feedforward=module.linear1.out_features, dropout=module.dropout.p,
                 activation=_activation(module, back), layer_norm_eps=module.norm1.eps,
                 batch_first=attention.batch_first, norm_first=module.norm_first,
                 bias=module.linear1.bias is not None, causal=getattr(module, "causal", False))


def _activation(module: Any, back: Callable[[nn.Module], Module]) -> str | Module:
    """The activation of a transformer layer: a module, its forward, or a function of torch."""
    found = module.activation
    whole = getattr(found, "__self__", found)
    if isinstance(whole, nn.Module):
        return back(whole)
    name = getattr(found, "__name__", "")
    if not any(found is getattr(place, name, None) for place in (functional, torch)):
        raise TypeError(f"from_torch({type(module).__name__}(activation)) expects one of torch's; "
                        f"got {found!r}. Give it a name or a module: activation='gelu'.")
    return str(name)


def _pool(module: Any, _: Any) -> Module:
    kind = layers.GlobalMaxPool if module.largest else layers.GlobalAvgPool
    return kind(keepdims=module.keepdims)


# ---- modules that wire modules ----------------------------------------------------------------


def _encoder(module: Any, back: Callable[[nn.Module], Module]) -> Module:
    parts = tuple(map(back, module.layers))
    norm = None if module.norm is None else back(module.norm)
    made = layers.TransformerEncoder(parts[0], len(parts), norm)
    made.layers = parts  # each with its own weights
    return made


def _graph(module: Any, back: Callable[[nn.Module], Module]) -> Module:
    inputs = mapped(lambda node: Node(None, (), node.shape), module.inputs)
    values = list(leaves(inputs))
    for place, source in module.calls:
        values.append(Node(back(module.get_submodule(str(place))), placed(values, source)))
    return containers.Graph(inputs, placed(values, module.outputs))


Reader = Callable[[Any, Callable[[nn.Module], Module]], Module]
READERS: dict[type[nn.Module], Reader] = {
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, nn.Softmin), _softmax),
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU, outside.RNN, outside.LSTM, outside.GRU), _recurrent),
    **dict.fromkeys((nn.MultiheadAttention, outside.MultiheadAttention), _attention),
    **dict.fromkeys((nn.TransformerEncoderLayer, outside.TransformerEncoderLayer,
                     nn.TransformerDecoderLayer, outside.TransformerDecoderLayer),
                    _transformer_layer),
    outside.Bilinear: _namesake,
    outside.CELU: _namesake,
    outside.Reshape: lambda m, _: layers.Reshape(m.shape),
    outside.Permute: lambda m, _: layers.Permute(m.dims),
    outside.Function: lambda m, _: layers.Lambda(m.function, m.derivative, m.output_shape),
    outside.GaussianNoise: lambda m, _: layers.GaussianNoise(m.stddev),
    outside.GlobalPool: _pool,
    outside.PositionalEncoding: lambda m, _: layers.PositionalEncoding(),
}
"""How a module is read that has tensors of its own, or none, where attributes are no arguments."""

WIRINGS: dict[type[nn.Module], Reader] = {
    nn.Sequential: lambda m, back: containers.Sequential(*map(back, m)),
    nn.TransformerEncoder: _encoder,
    outside.TransformerEncoder: _encoder,
    wiring.Residual: lambda m, back: containers.Residual(
        back(m.body), back(m.shortcut), back(m.merge)),
    wiring.Parallel: lambda m, back: containers.Parallel(
        *(back(m.get_submodule(name)) for name in m.names),
        merge=None if m.merge is None else back(m.merge)),
    wiring.Concat: lambda m, _: containers.Concat(m.axis),
    wiring.Add: lambda m, _: containers.Add(),
    wiring.Multiply: lambda m, _: containers.Multiply(),
    wiring.Pick: lambda m, _: containers.Pick(m.key),
    wiring.Shared: lambda m, back: containers.Shared(back(m.module)),
    wiring.Recompute: lambda m, back: containers.Recompute(back(m.module)),
    wiring.Graph: _graph,
}
"""How a module is read that wires others: each of them is read by itself."""
