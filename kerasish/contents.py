"""What is inside a model, in Keras' words: its layers by name, its weights as arrays."""

from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, NamedTuple

from torch import Tensor

from kerasish import insight
from kerasish.checks import check_index
from kerasish.data import as_tensor
from kerasish.module import Module
from kerasish.naming import snake_case
from kerasish.parameter import Parameter
from kerasish.paths import joined, values, walk
from kerasish.registry import nearest
from kerasish.training import on_host


class Weight(NamedTuple):
    """One tensor of the state of a model, and where it is."""

    path: str
    """As in the state dict; of what is shared, the first one."""
    layer: Module
    """The module that it belongs to."""
    tensor: Tensor
    trainable: bool
    """False for what is frozen, and for buffers."""


class Contents:
    """A model's layers and weights."""

    module: Module

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.module!r})"

    @property
    def layers(self) -> list[Module]:
        """The modules on top: of a Sequential its layers, in their order."""
        return list(self.module.children()) or [self.module]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Module:
        """One module, by its name or by its place.

        Raises: ValueError for a name that no module has, with the nearest ones, or that several
            have; for a place that there is not; and unless one of both is given.

        Args:
            name: its path, "0" or "encoder.0", as state dicts and `summary()` show it; or its class
                in snake_case, "batch_norm2d", where only one module is of that class.
            index: its place in `layers`; -1 is the last one.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear, Tanh
            >>> model = Model(Linear(2), Tanh(), device="cpu")
            >>> model.get_layer("tanh"), model.get_layer("0"), model.get_layer(index=-1)
            (Tanh(), Linear(2), Tanh())
        """
        if (name is None) == (index is None):
            raise ValueError(f"Model.get_layer expects a name or an index; got {name!r} and "
                             f"{index!r}. Give one of them.")
        if index is not None:
            return self._layer_at(check_index("Model.get_layer(index)", index))
        if not isinstance(name, str):
            raise TypeError(f"Model.get_layer(name) expects a string; got {name!r}. Write "
                            "index=... for a place.")
        return _named(self.module, name)

    def _layer_at(self, index: int) -> Module:
        layers = self.layers
        if not -len(layers) <= index < len(layers):
            raise ValueError(f"Model.get_layer(index) expects {-len(layers)} to {len(layers) - 1}, "
                             f"as the model has {len(layers)} layers on top; got {index}. Deeper "
                             "ones have names.")
        return layers[index]

    @property
    def weights(self) -> list[Tensor]:
        """Parameters and buffers in the order of the state dict: the tensors themselves.

        What is written into them is in the model. What is shared comes once.

        Raises: RuntimeError before build.
        """
        return [weight.tensor for weight in self._weights("weights")]

    @property
    def trainable_weights(self) -> list[Tensor]:
        """Those among `weights` that training changes."""
        return [each.tensor for each in self._weights("trainable_weights") if each.trainable]

    @property
    def non_trainable_weights(self) -> list[Tensor]:
        """Those among `weights` that no update changes: frozen parameters, and all buffers.

        A batch norm's running statistics are among them though training moves them.
        """
        return [each.tensor for each in self._weights("non_trainable_weights")
                if not each.trainable]

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters; False freezes all of them.

        May be set at any time, before build or after compile too, and takes effect at once.
        """
        return self.module.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.module.trainable = value

    def summary(
        self,
        expand_nested: bool = True,
        show_trainable: bool | None = None,
        print_fn: Callable[[str], Any] | None = None,
        line_length: int | None = None,
        profile: Any = None,
    ) -> None:
        """Prints modules, output shapes, parameters and bytes, and what "accuracy" means here.

        Args:
            expand_nested: whether containers show what they hold, indented, and not only its sum.
            show_trainable: whether there is a column of what is trained; None is where anything is
                frozen.
            print_fn: gets each line instead of `print`.
            line_length: characters that a line may have, 60 or more; None is 100.
            profile: what `Model.profile` returned: the milliseconds of forward, dx and dW of each
                module, and its share of the step, are shown as well.
        """
        insight.print_summary(self, expand_nested, show_trainable, print_fn, line_length, profile)

    def count_params(self) -> int:
        """How many numbers the parameters hold, frozen ones too and shared ones once.

        Buffers are not among them; `summary()` counts these apart.

        Raises: RuntimeError before build.
        """
        self._require_built("count_params()")
        return sum(parameter.data.numel() for parameter in self.module.parameters())

    def get_weights(self) -> list[Any]:
        """Copies of `weights` as numpy arrays, in their order.

        Raises: RuntimeError before build.
        """
        return [on_host(weight.tensor).copy() for weight in self._weights("get_weights()")]

    def set_weights(self, weights: Any) -> None:
        """Copies arrays into `weights`; all of them fit, or nothing is changed.

        Raises: RuntimeError before build; TypeError for what is no list, or no numbers; ValueError
            for another number of arrays, or another shape, naming the layer and its path.

        Args:
            weights: a list of arrays as `get_weights` gives it; types are converted.
        """
        own = list(self._weights("set_weights(weights)"))
        if not isinstance(weights, list | tuple):
            raise TypeError("Model.set_weights(weights) expects a list of arrays, as get_weights() "
                            f"gives it; got {type(weights).__name__}. Use "
                            "model.module.load_state_dict for a dict.")
        _check_number(own, len(weights))
        tensors = [_fitting(*pair) for pair in zip(own, weights, strict=True)]
        for weight, tensor in zip(own, tensors, strict=True):
            weight.tensor.copy_(tensor)

    def _weights(self, who: str) -> Iterator[Weight]:
        self._require_built(who)
        seen: set[int] = set()
        for path, layer in self.module.named_modules():
            for name, parameter in values(layer, Parameter):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield Weight(joined(path, name), layer, parameter.data, parameter.trainable)
            for name in layer._buffer_names:
                yield Weight(joined(path, name), layer, getattr(layer, name), False)

    def _require_built(self, who: str) -> None:
        if not self.module.built:
            raise RuntimeError(f"Model.{who} expects a model that is built; got one without "
                               "parameters yet. Call model.build(shape) with the shape of a "
                               "sample, or fit, first.")


def _named(root: Module, name: str) -> Module:
    """The module below, or the only one there is, of that path or class name."""
    found: dict[str, Module] = dict(walk(root))
    if len(found) > 1:
        del found[""]
    if name in found and name:
        return found[name]
    paths: dict[str, list[str]] = {}
    for path, module in root.named_modules():
        if path in found:
            paths.setdefault(snake_case(type(module).__name__), []).append(path)
    alike = paths.get(name, [])
    if len(alike) == 1:
        return found[alike[0]]
    if alike:
        raise ValueError(f"Model.get_layer(name) expects the name of one layer; got {name!r}, of "
                         f"which there are {len(alike)}. Say which by its path: "
                         f"{', '.join(map(repr, alike))}.")
    unique = [each for each, places in paths.items() if len(places) == 1]
    raise ValueError(f"Model.get_layer(name) expects the path of a layer, or its class in "
                     f"snake_case; got {name!r}. {nearest(name, filter(None, [*found, *unique]))}")


def _check_number(own: list[Weight], count: int) -> None:
    if count == len(own):
        return
    fix = "Give as many as get_weights() does."
    if count < len(own):
        first = own[count]
        fix = f"The first without one is {first.path!r}, of {first.layer!r}."
    raise ValueError(f"Model.set_weights(weights) expects {len(own)} arrays; got {count}. {fix}")


def _fitting(weight: Weight, value: Any) -> Tensor:
    """The value as a tensor, if it fits."""
    who = f"Model.set_weights(weights), for {weight.path!r} of {weight.layer!r},"
    if isinstance(value, Real) or getattr(value, "ndim", None) == 0:
        given = as_tensor(who, [value])[0]
    else:
        given = as_tensor(who, value)
    if tuple(given.shape) != tuple(weight.tensor.shape):
        raise ValueError(f"Model.set_weights(weights) expects shape {tuple(weight.tensor.shape)} "
                         f"for {weight.path!r}, of {weight.layer!r}; got {tuple(given.shape)}. "
                         "Give them in the order of get_weights().")
    return given
