"""The disc net by the kernels that kerasish calls, in one flat function without any framework."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

WIDTHS = (2, 25, 25, 25, 1)


def bare_kernels(
    x: Tensor, y: Tensor, batch_size: int, rate: float, flat: Tensor
) -> Callable[[int], float]:
    """What trains for so many epochs the weights in `flat`: of each layer W, then b."""
    sizes = list(pairwise(WIDTHS))
    gradient = torch.zeros_like(flat)
    weights, biases, weight_gradients, bias_gradients, at = [], [], [], [], 0
    for i, o in sizes:
        for vector, matrices, rows in (
            (flat, weights, biases), (gradient, weight_gradients, bias_gradients)
        ):
            matrices.append(vector[at : at + i * o].view(o, i))
            rows.append(vector[at + i * o : at + i * o + o])
        at += i * o + o
    w2, w3, w4 = weights[1:]
    t1, t2, t3, t4 = (w.t() for w in weights)
    b1, b2, b3, b4 = biases
    gw1, gw2, gw3, gw4 = weight_gradients
    gb1, gb2, gb3, gb4 = bias_gradients
    addmm, mm, relu_, tanh_, dot, sub = (
        torch.addmm, torch.mm, torch.relu_, torch.tanh_, torch.dot, torch.sub
    )
    relu_back = torch.ops.aten.threshold_backward.default._op
    tanh_back = torch.ops.aten.tanh_backward.default._op
    sizes_of_batches = {batch_size, len(x) % batch_size or batch_size}
    all_ones = {rows: torch.ones(rows) for rows in sizes_of_batches}
    shares = {rows: torch.tensor(rows ** -0.5) for rows in sizes_of_batches}
    twice = {rows: torch.tensor(2 * rows ** -0.5) for rows in sizes_of_batches}
    counts = torch.tensor([float(len(part)) for part in x.split(batch_size)])
    total = torch.zeros(())

    def epoch() -> None:
        order = torch.randperm(len(x))
        losses = []
        for xb, yb in zip(x[order].split(batch_size), y[order].split(batch_size), strict=True):
            y1 = relu_(addmm(b1, xb, t1))
            y2 = relu_(addmm(b2, y1, t2))
            y3 = tanh_(addmm(b3, y2, t3))
            y4 = tanh_(addmm(b4, y3, t4))
            rows = xb.shape[0]
            ones = all_ones[rows]
            error = sub(y4, yb)
            line = error.mul_(shares[rows]).reshape(-1)
            losses.append(dot(line, line))
            d = tanh_back(error.mul_(twice[rows]), y4)
            d_t = d.t()
            gw4.addmm_(d_t, y3)
            gb4.addmv_(d_t, ones)
            d = tanh_back(mm(d, w4), y3)
            d_t = d.t()
            gw3.addmm_(d_t, y2)
            gb3.addmv_(d_t, ones)
            d = relu_back(mm(d, w3), y2, 0)
            d_t = d.t()
            gw2.addmm_(d_t, y1)
            gb2.addmv_(d_t, ones)
            d = relu_back(mm(d, w2), y1, 0)
            d_t = d.t()
            gw1.addmm_(d_t, xb)
            gb1.addmv_(d_t, ones)
            flat.add_(gradient, alpha=-rate)
            gradient.zero_()
        torch.dot(torch.stack(losses), counts, out=total)

    def run(epochs: int) -> float:
        with torch.inference_mode():
            for _ in range(epochs):
                epoch()
        return float(total) / len(x)

    return run
