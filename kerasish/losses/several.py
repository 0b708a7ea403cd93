"""A loss for each of several outputs, and their weighted sum; or none at all."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.losses.loss import Loss
from kerasish.registry import nearest
from kerasish.trees import is_shape, leaves

OUTPUTS_LIMIT = 1_000
"""More than any net has; a file that asks for more means harm."""


class NoLoss(Loss):
    """Stands for the loss of a model that has a `train_step` with losses of its own: L = 0."""

    formula: ClassVar[str] = "L = 0"
    backward_formula: ClassVar[str] = "dy_pred = 0"

    def forward(self, y_pred: Any, y_true: Any, sample_weight: Any = None) -> Tensor:
        return torch.zeros((), device=next(leaves(y_pred)).device)

    def backward(self) -> Any:
        raise RuntimeError("NoLoss.backward() expects a loss to go back from; got compiled with "
                           "loss=None. Give compile a loss, or call backward of your own losses in "
                           "train_step.")

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        """Any will do."""

    def check_targets(self, y_pred: Any, y_true: Any) -> None:
        """Any will do."""


class Part(NamedTuple):
    """What one output is told: its place in the tuple or dict, its name in logs, its loss."""

    key: int | str
    name: str
    loss: Loss
    weight: float


class OutputLosses(Loss):
    """A loss for each output.

        L = Σ λ_k L_k(y_pred[k], y_true[k])

    Shapes: y_pred and y_true tuples or dicts of the same structure, L (). Targets of an output
        without a loss are not looked at, and may be missing.
    Backward: dy_pred[k] = λ_k dL_k, None for an output without a loss.
    Raises: ValueError, before training, if model or targets have other outputs.

    Args:
        losses: a tuple or dict of a loss for each output; None for one without.
        loss_weights: λ, a number for each in the same structure; 1 where none is given.

    Weights of samples are one tensor (N,) for all outputs, or one for each in their structure, None
    for an output without.

    Example:
        >>> import torch
        >>> from kerasish.losses import MAE, MSE
        >>> y_pred, y_true = (torch.ones(2, 1), torch.ones(2, 1)), (torch.zeros(2), torch.zeros(2))
        >>> OutputLosses((MSE(), MAE()), (1.0, 0.5))(y_pred, y_true)
        tensor(1.5000)
    """

    formula: ClassVar[str] = "L = Σ λ_k L_k"
    backward_formula: ClassVar[str] = "dy_pred[k] = λ_k dL_k"

    def __init__(self, losses: Any, loss_weights: Any = None) -> None:
        self.is_dict = isinstance(losses, dict)
        self.keys = list(losses) if self.is_dict else list(range(len(losses)))
        weights = in_order("loss_weights", loss_weights, self.keys)
        self.parts = [Part(key, output_name(key), losses[key], _checked(weights[key]))
                      for key in self.keys if losses[key] is not None]
        if not self.parts:
            raise ValueError("compile(loss) expects a loss for one output at least; got none. "
                             "Write None for the others alone.")
        names = [f"{part.name}_loss" for part in self.parts]
        self.value_names = tuple(names) if len(names) > 1 else ()

    def forward(self, y_pred: Any, y_true: Any, sample_weight: Any = None) -> Tensor:
        values = [part.loss.forward(y_pred[part.key], y_true[part.key],
                                    weights_of(part.key, sample_weight)) for part in self.parts]
        self.values = dict(zip(self.value_names, values, strict=False))
        first, *others = (part.weight * value
                          for part, value in zip(self.parts, values, strict=True))
        total: Tensor = sum(others, start=first)
        return total

    def backward(self) -> Any:
        gradients: dict[Any, Tensor | None] = dict.fromkeys(self.keys)
        for part in reversed(self.parts):
            gradients[part.key] = part.loss.backward() * part.weight
        return gradients if self.is_dict else tuple(gradients.values())

    def forget(self) -> None:
        super().forget()
        self.values = {}
        for part in self.parts:
            part.loss.forget()

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self._each("check_shapes", y_pred, y_true)

    def check_targets(self, y_pred: Any, y_true: Any) -> None:
        self._each("check_targets", y_pred, y_true)

    def _each(self, check: str, y_pred: Any, y_true: Any) -> None:
        self.check_outputs(y_pred)
        self._require_outputs("targets", y_true, [part.key for part in self.parts], keys_of(y_true))
        for part in self.parts:
            try:
                getattr(part.loss, check)(y_pred[part.key], y_true[part.key])
            except ValueError as error:
                error.add_note(f"at output {part.name!r}")
                raise

    def check_outputs(self, y_pred: Any) -> None:
        """Refuses a model with other outputs than there are losses for.

        Raises: ValueError with the outputs that it has.

        Args:
            y_pred: its predictions, or their shapes.
        """
        self._require_outputs("a model", y_pred, self.keys, self.keys)

    def _require_outputs(self, what: str, tree: Any, wanted: list[Any], allowed: Any) -> None:
        """Refuses a model or targets without an output that is wanted, or with one too many."""
        got = keys_of(tree)
        if got is None or isinstance(tree, dict) != self.is_dict or not (
                set(wanted) <= set(got) <= set(allowed)):
            single = "a single one" if is_shape(tree) else type(tree).__name__
            odd = [key for key in wanted if self.is_dict and key not in (got or [key])]
            near = f"{nearest(odd[0], map(output_name, got or ()))} " if odd else ""
            of_model = what == "a model"
            raise ValueError(
                f"{'compile(loss)' if of_model else 'y'} expects {what} with the outputs {wanted} "
                f"in a {'dict' if self.is_dict else 'tuple'}; got "
                f"{single if got is None else got}. {near}"
                + ("Give a loss or None for each output of the model." if of_model else
                   "Give targets for each output that has a loss.")
            )


def keys_of(tree: Any) -> list[Any] | None:
    """The names in a dict, the places in a tuple; None for a single tensor or shape.

    Example:
        >>> keys_of({"a": 1}), keys_of(((2,), (3,))), keys_of((2, 3))
        (['a'], [0, 1], None)
    """
    if isinstance(tree, dict):
        return list(tree)
    several = isinstance(tree, tuple) and not is_shape(tree)
    return list(range(len(tree))) if several else None


def weights_of(key: int | str, sample_weight: Any) -> Tensor | None:
    """The weights of the samples at one output: its own, or those that all outputs share.

    Example:
        >>> weights_of("b", {"a": None}), weights_of(1, None)
        (None, None)
    """
    if keys_of(sample_weight) is not None:
        sample_weight = sample_weight.get(key) if isinstance(sample_weight, dict) else (
            sample_weight[int(key)])
    weights: Tensor | None = sample_weight
    return weights


def check_weights(loss: Loss, sample_weight: Any, count: int) -> None:
    """Refuses weights of samples that are not one a sample, for each output or for all.

    Raises: ValueError with the shape, or the output, that does not fit.

    Args:
        loss: what the model is trained with, which knows the outputs.
        sample_weight: a tensor, or a tuple or dict of tensors and None.
        count: how many samples there are.
    """
    got = keys_of(sample_weight)
    wanted = loss.keys if isinstance(loss, OutputLosses) else None
    if got is not None and not isinstance(loss, NoLoss):
        as_dict = isinstance(sample_weight, dict)
        if wanted is None:
            raise ValueError("sample_weight expects one array for a model with one output; got "
                             f"{got}. Leave the tuple or dict out.")
        if not (set(got) <= set(wanted) if as_dict else got == wanted):
            raise ValueError(f"sample_weight expects one array, or one for each of the outputs "
                             f"{wanted}; got {got}. Write None for an output without.")
    for weights in leaves(sample_weight):
        if tuple(weights.shape) != (count,):
            raise ValueError(f"sample_weight expects one weight a sample, shape ({count},); got "
                             f"{tuple(weights.shape)}. Weigh samples, not elements.")


def output_name(key: int | str) -> str:
    """What an output is called in logs: its name in a dict, or output_0, output_1, ...

    Example:
        >>> output_name("digit"), output_name(1)
        ('digit', 'output_1')
    """
    return key if isinstance(key, str) else f"output_{key}"


def for_outputs(
    loss: Any, loss_weights: Any, outputs: list[Any] | None, get: Callable[[Any], Loss]
) -> Loss:
    """The loss that `compile` was asked for: one, or one for each output.

    Raises: ValueError for other outputs than the model is known to have.

    Args:
        loss: what was asked for; a list or tuple in the order of the outputs, or a dict. A single
            one is meant for each of several outputs.
        loss_weights: a number for each, in the same way.
        outputs: the names or places of several, [] for a single one, None if it is not known.
        get: how a single loss is found.
    """
    several = isinstance(loss, dict) or (isinstance(loss, list | tuple) and len(loss) > 1)
    for who, given in (("loss", loss), ("loss_weights", loss_weights)):
        if isinstance(given, dict | list | tuple) and len(given) > OUTPUTS_LIMIT:
            raise ValueError(f"compile({who}) expects at most {OUTPUTS_LIMIT:,} outputs; got "
                             f"{len(given):,}. Join them into a few tensors.")
    if outputs == [] and several:
        raise ValueError("compile(loss) expects one loss for a model with one output, which has no "
                         f"name; got {loss!r}. Write the loss alone.")
    keys = outputs or None
    if keys is None and several and loss:
        keys = list(loss) if isinstance(loss, dict) else list(range(len(loss)))
    if keys is None:
        if loss_weights is not None:
            raise ValueError("compile(loss_weights) expects a model with several outputs; got one "
                             f"output and {loss_weights!r}. Change the learning rate instead.")
        return get(loss[0] if isinstance(loss, list | tuple) and len(loss) == 1 else loss)
    found = {key: None if each is None else get(each)
             for key, each in in_order("loss", loss, keys).items()}
    if isinstance(loss, Loss):  # each keeps what is its own
        found = {key: copy.deepcopy(loss) for key in keys}
    weights = in_order("loss_weights", loss_weights, keys)
    if isinstance(keys[0], str):
        return OutputLosses(found, weights)
    return OutputLosses(tuple(found.values()), tuple(weights.values()))


def in_order(who: str, given: Any, keys: list[Any]) -> dict[Any, Any]:
    """What `compile` was given for each output, by the outputs' keys; a single thing is for all.

    Raises: ValueError for other numbers or names of outputs than the model has.
    """
    if isinstance(given, dict):
        names = {output_name(key): key for key in keys}
        for name in given:
            if name not in names and name not in keys:
                raise ValueError(f"compile({who}) expects the names of outputs; got {name!r}. "
                                 f"{nearest(str(name), names)}")
        missing = [name for name, key in names.items() if not {name, key} & given.keys()]
        if missing and who == "loss":
            raise ValueError(f"compile(loss) expects a loss for each output; got none for "
                             f"{missing[0]!r}. Write None for an output without.")
        return {key: given.get(key, given.get(name)) for name, key in names.items()}
    if isinstance(given, list | tuple):
        if len(given) != len(keys):
            raise ValueError(f"compile({who}) expects one for each of {len(keys)} outputs; got "
                             f"{len(given)}. Write None for an output without.")
        return dict(zip(keys, given, strict=True))
    return dict.fromkeys(keys, given)


def _checked(weight: Any) -> float:
    if weight is None:
        return 1.0
    return check_number("compile(loss_weights)", weight, 0, fix="1.0 leaves a loss as it is.")
