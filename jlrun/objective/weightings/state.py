"""State of weightings in buffers, which checkpoints hold: a memory of gradients, and Adam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class GradientMemory(nn.Module):
    """Buffer ``(T, N)`` that begins as zeros of the first Jacobian's size, device and dtype.

    N is not known when a weighting is made; a checkpoint brings its own.

    Args:
        num_tasks: T.
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.values: Tensor
        self.register_buffer("values", torch.zeros(num_tasks, 0))

    def like(self, jacobian: Tensor) -> Tensor:
        """Return the buffer, to be changed in place, of the size of ``jacobian (T, N)``."""
        if self.values.numel() == 0:
            self.values = torch.zeros_like(jacobian)
        assert self.values.shape == jacobian.shape, "the shared parameters of a phase do not change"
        return self.values

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        stored = state_dict.get(f"{prefix}values")
        if stored is not None:
            self.values = torch.empty_like(stored, device=self.values.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class TaskAdam(nn.Module):
    """Adam for a buffer ``(T,)`` that a weighting updates by its own rule.

    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1, with
    PyTorch's coupled weight decay. The moments are buffers, so that checkpoints hold them: an
    optimizer of PyTorch's would lose sight of a buffer that is moved to a device. Each coordinate
    counts its own steps, so that a task without labels rests: neither momentum nor decay moves it.

    Args:
        num_tasks: T.
        lr: learning rate.
        weight_decay: added to the gradient, times the value.
    """

    def __init__(self, num_tasks: int, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.lr, self.weight_decay = lr, weight_decay
        self.mean: Tensor
        self.square: Tensor
        self.steps: Tensor
        self.register_buffer("mean", torch.zeros(num_tasks))
        self.register_buffer("square", torch.zeros(num_tasks))
        self.register_buffer("steps", torch.zeros(num_tasks))

    @torch.no_grad()
    def step(self, value: Tensor, gradient: Tensor, active: Tensor | None = None) -> None:
        """Change ``value`` in place; where ``active`` (Bool ``(T,)``) if it is given."""
        moves = torch.ones_like(value, dtype=torch.bool) if active is None else active
        gradient = gradient.to(value) + self.weight_decay * value
        self.steps += moves
        self.mean.lerp_(gradient, 0.1 * moves.to(value))
        self.square.lerp_(gradient.square(), 0.001 * moves.to(value))
        mean = self.mean / _bias(self.steps, 0.9)
        square = self.square / _bias(self.steps, 0.999)
        value -= torch.where(moves, self.lr * mean / (square.sqrt() + 1e-8), 0.0)


def _bias(steps: Tensor, beta: float) -> Tensor:
    """Return 1 − β^t, without the cancellation that costs float32 half its digits at t = 1."""
    return -torch.expm1(steps * math.log(beta))
