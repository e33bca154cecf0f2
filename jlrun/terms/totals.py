"""Add up what a term is made of."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from jlrun.terms.base import StepView


def total(values: Iterable[Tensor], view: StepView) -> Tensor:
    """Return the sum of scalars; a zero on the step's device if there are none."""
    scalars = list(values)
    if not scalars:
        outputs = next(iter(view.outputs.values()))
        return outputs.fused.new_zeros(())
    return torch.stack(scalars).sum()


def precise(x: Tensor) -> Tensor:
    """Return ``x`` in float32 at least: sums of squares and logarithms overflow half precision."""
    return x if x.dtype == torch.float64 else x.float()
