"""Sums of a term's parts, zero where it has none, and full precision."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from jlrun.objective.terms.base import StepView


def total(values: Iterable[Tensor], view: StepView) -> Tensor:
    """Return the sum of scalars; a zero on the step's device if there are none."""
    scalars = list(values)
    return torch.stack(scalars).sum() if scalars else no_loss(view)


def no_loss(view: StepView) -> Tensor:
    """Return 0 on the step's device, for a term without rows or weights to measure."""
    return next(view.model.parameters()).new_zeros(())


def precise(x: Tensor) -> Tensor:
    """Return ``x`` in float32 at least: sums of squares and logarithms overflow half precision."""
    return x if x.dtype == torch.float64 else x.float()
