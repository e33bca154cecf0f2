"""Task losses with given values, for tests of weightings that look at nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from jlrun.objective.weightings import LossWeighting, TaskLosses


def task_losses(values: Sequence[float], active: Sequence[bool] | None = None) -> TaskLosses:
    """Return float64 losses on a graph of their own; tasks a, b, c, … are active by default."""
    mask = torch.ones(len(values)).bool() if active is None else torch.tensor(active)
    leaf = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return TaskLosses(tuple("abcdefghijklmnop"[: len(values)]), leaf, mask)


def scalar(weighting: LossWeighting, losses: TaskLosses) -> float:
    """Return what the weighting minimises, as a number."""
    return float(weighting(losses).detach())


def gradient(weighting: LossWeighting, losses: TaskLosses) -> torch.Tensor:
    """Return the derivative of the weighting's scalar with respect to the losses, ``(T,)``."""
    (result,) = torch.autograd.grad(weighting(losses), losses.values)
    return result
