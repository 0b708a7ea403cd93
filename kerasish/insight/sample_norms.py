"""Which samples of a batch pull hardest at the weights: the norm of each sample's own gradient."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.differentiable import is_saving
from kerasish.insight.batch import ready_batch, require_loss
from kerasish.insight.table import table
from kerasish.insight.twin import twin
from kerasish.layers import Conv1d, Conv2d, Conv3d, Embedding, LayerNorm, Linear
from kerasish.losses import Loss
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import values
from kerasish.trees import batch_size, filled, leaves, mapped
from kerasish.watching import Place, Watch

_SHOWN = 10
_LONGEST = 100


class SampleNorms:
    """The norms of the gradients of single samples, in all and for each parameter.

    Args:
        by_parameter: path → norms, an array with a number for each sample.

    Example:
        >>> norms = SampleNorms({"0.weight": np.array([3.0, 0.0]), "0.bias": np.array([4.0, 1.0])})
        >>> norms.total, norms.largest(1)
        (array([5., 1.]), [0])
    """

    def __init__(self, by_parameter: dict[str, Any]) -> None:
        self.by_parameter = by_parameter
        self.total = np.linalg.norm(np.array(list(by_parameter.values()), np.float64), axis=0)
        """The norm over all parameters, for each sample."""

    def largest(self, count: int = _SHOWN) -> list[int]:
        """The places in the batch of the samples that dominate, the first one most.

        One whose norm is not a number dominates all others, as one that is infinite does.

        Raises: TypeError or ValueError for less than one.
        """
        check_count("SampleNorms.largest(count)", count, 1, "It is a number of samples.")
        order = np.argsort(-_comparable(self.total), kind="stable")
        return [int(sample) for sample in order[:count]]

    def __repr__(self) -> str:
        return (f"<SampleNorms of {len(self.total)} samples: largest "
                f"{_comparable(self.total).max(initial=0.0):.4g}>")

    def __str__(self) -> str:
        energy = np.square(self.total)
        known = np.isfinite(energy)
        whole = energy[known].sum() or 1.0
        rows = [("sample", "most of it in", "norm", "share of the squares")]
        for sample in self.largest():
            each = {path: _comparable(norms[sample]) for path, norms in self.by_parameter.items()}
            share = f"{energy[sample] / whole:.1%}" if known[sample] else "-"
            rows.append((str(sample), max(each, key=lambda path: each[path]),
                         f"{self.total[sample]:.4g}", share))
        return "\n".join(line for lines in table(rows, _LONGEST) for line in lines)


def _comparable(norms: Any) -> Any:
    """Norms that have an order: what is not a number comes with the infinite ones."""
    return np.where(np.isnan(norms), np.inf, norms)


def per_sample_gradient_norms(
    model: Any, x: Any, y: Any, sample_weight: Any = None
) -> SampleNorms:
    """The norms of `model.per_sample_gradient_norms()`, which describes the arguments."""
    require_loss("Model.per_sample_gradient_norms", model)
    with twin(model) as copied, torch.inference_mode():
        x, y, sample_weight = ready_batch(
            copied, "per_sample_gradient_norms", x, y, sample_weight)
        module = copied.module.eval()
        paths = {path: each for path, each in module.named_parameters() if each.trainable}
        if not paths:
            raise ValueError("per_sample_gradient_norms expects a model with parameters to train; "
                             f"got {model!r}, which has none. Set trainable = True on a layer.")
        watch = _Uses(module)
        with watch:
            y_pred = module.forward(x)
            module.backward(_gradients_alone(copied.loss, y_pred, y, sample_weight))
        count = batch_size(y_pred)
        squares = _squares(watch.uses, count)
        nothing = torch.zeros(count)
        return SampleNorms({path: squares.get(parameter, nothing).clamp(min=0).sqrt().cpu().numpy()
                            for path, parameter in paths.items()})


class _Use(NamedTuple):
    """One call of a module that has parameters of its own."""

    module: Any
    x: Any
    dy: Any
    saved: tuple[Any, ...]
    """What its forward kept for this backward."""


class _Uses(Watch):
    """Keeps what went in and came back at every call of a module with parameters to train."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.uses: list[_Use] = []
        self._inputs: dict[tuple[Module, int], Any] = {}

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        y = call(x)
        if is_saving() and any(_trained(place.module)):
            # The height of the stack is found again by the backward that belongs to this call.
            self._inputs[place.module, len(place.module._saved)] = x
        return y

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        module = place.module
        x = self._inputs.get((module, len(module._saved)))
        if x is not None:
            self.uses.append(_Use(module, x, dy, module._saved[-1] if module._saved else ()))
        return call(dy)


def _trained(module: Module) -> Iterable[tuple[str, Parameter]]:
    """The parameters of a module itself that are trained."""
    return ((name, each) for name, each in values(module, Parameter) if each.trainable)


def _gradients_alone(loss: Loss, y_pred: Any, y: Any, sample_weight: Any) -> Any:
    """dL/dy_pred where each sample is a batch of its own."""
    alone = []
    for sample in range(batch_size(y_pred)):
        loss.forward(*(_only(sample, part) for part in (y_pred, y, sample_weight)))
        alone.append(loss.backward())
    parts = zip(*map(leaves, alone), strict=True)
    return filled(alone[0], map(torch.cat, parts))


def _only(sample: int, tree: Any) -> Any:
    return mapped(lambda part: part[sample : sample + 1], tree)


def _squares(uses: list[_Use], count: int) -> dict[Parameter, Tensor]:
    """The squared norms by parameter: by formula where there is one, else sample by sample.

    A parameter with several uses gets a sum of gradients, whose norm is none of their norms.
    """
    met: dict[Parameter, list[_Use]] = {}
    for use in uses:
        for _, parameter in _trained(use.module):
            met.setdefault(parameter, []).append(use)
    squares: dict[Parameter, Tensor] = {}
    for parameter, using in met.items():
        formula = _FORMULAS.get(type(using[0].module))
        if len(using) == 1 and formula is not None:
            (use,) = using
            names = {each: name for name, each in _trained(use.module)}
            squares[parameter] = formula(use, names[parameter])
    rest = [parameter for parameter in met if parameter not in squares]
    again = [use for use in uses if any(each in rest for _, each in _trained(use.module))]
    return squares | _one_by_one(rest, again, count)


def _one_by_one(
    parameters: list[Parameter], uses: list[_Use], count: int
) -> dict[Parameter, Tensor]:
    """Goes through every use again with each sample alone."""
    rows = []
    for sample in range(count if parameters else 0):
        sums = dict.fromkeys(parameters, torch.zeros(()))
        for use in uses:
            use.module.zero_grad()  # modules below have uses of their own
            use.module.forward(_only(sample, use.x))
            use.module.backward(_only(sample, use.dy))
            for _, parameter in _trained(use.module):
                if parameter in sums:
                    sums[parameter] = sums[parameter] + parameter.grad
        rows.append(torch.stack([gradient.square().sum() for gradient in sums.values()]))
    columns = torch.stack(rows, 1) if rows else ()
    return dict(zip(parameters, columns, strict=True))


def _linear(use: _Use, name: str) -> Tensor:
    """‖dyᵀ x‖² = Σ over t and s of (dy_t · dy_s) (x_t · x_s): no gradient is ever made."""
    dy: Tensor = use.dy.reshape(len(use.dy), -1, use.dy.shape[-1])
    if name == "bias":
        return dy.sum(1).square().sum(1)
    x: Tensor = use.x.reshape(len(dy), dy.shape[1], use.x.shape[-1])
    if dy.shape[1] == 1:
        return dy.square().sum((1, 2)) * x.square().sum((1, 2))
    return torch.bmm(dy, dy.mT).mul_(torch.bmm(x, x.mT)).sum((1, 2))


def _convolution(use: _Use, name: str) -> Tensor:
    """The kernel that a batch takes, sample by sample: dx is left out, so it costs what dW does."""
    dy: Tensor = use.dy
    if name == "bias":
        return dy.flatten(2).sum(2).square().sum(1)
    (seen,) = use.saved
    module = use.module
    gradients = (
        torch.ops.aten.convolution_backward.default(
            dy[sample : sample + 1], seen[sample : sample + 1], module.weight.data, None,
            *module._geometry, [False, True, False])[1]
        for sample in range(len(dy)))
    return torch.stack([gradient.square().sum() for gradient in gradients])


def _embedding(use: _Use, name: str) -> Tensor:
    """Gradients of places with the same index add up: Σ dy_t · dy_s where x_t = x_s."""
    x, dy = use.x.reshape(len(use.x), -1), use.dy.reshape(len(use.x), -1, use.dy.shape[-1])
    same = x[:, :, None] == x[:, None, :]
    if use.module.padding_idx is not None:
        same &= (x != use.module.padding_idx)[:, :, None]
    return torch.bmm(dy, dy.mT).mul_(same).sum((1, 2))


def _layer_norm(use: _Use, name: str) -> Tensor:
    """dβ = Σ dy and dγ = Σ dy x̂ over the places of a sample."""
    x, mean, rstd = use.saved
    gradient: Tensor = use.dy if name == "bias" else use.dy * (x - mean) * rstd
    size = use.module.weight.data.numel()
    return gradient.reshape(len(x), -1, size).sum(1).square().sum(1)


_FORMULAS: dict[Any, Callable[[Any, str], Tensor]] = {
    Linear: _linear, Conv1d: _convolution, Conv2d: _convolution, Conv3d: _convolution,
    Embedding: _embedding, LayerNorm: _layer_norm,
}
"""By exact class: a subclass may have another backward."""
