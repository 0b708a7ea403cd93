"""Derivatives of gates, as kernels that write where they are told to."""

from collections.abc import Callable

import torch
from torch import Tensor

sigmoid_backward: Callable[..., Tensor] = torch.ops.aten.sigmoid_backward.grad_input
"""dy y(1 - y), from (dy, y, grad_input=...)."""

tanh_backward: Callable[..., Tensor] = torch.ops.aten.tanh_backward.grad_input
"""dy (1 - y²), from (dy, y, grad_input=...)."""
