"""A model as it was when a phase began."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

import torch
from torch import nn

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs


class FrozenModel(nn.Module):
    """A copy of a model that neither trains nor leaves evaluation mode.

    Its weights are state: a resumed phase begins with other ones, and restores these.

    Args:
        model: copied as it is now.
    """

    def __init__(self, model: JointModel) -> None:
        super().__init__()
        self.model = deepcopy(model).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenModel:
        """Stay in evaluation mode, whatever the module that holds this one is put in."""
        return super().train(False)

    def forward(self, batch: Batch, heads: Collection[str] | None = None) -> Outputs:
        """Return the outputs of the named heads (or all), without a graph."""
        with torch.no_grad():
            return self.model(in_precision_of(self.model, batch), heads)


def in_precision_of(model: nn.Module, batch: Batch) -> Batch:
    """Return the inputs of a batch in the floating-point type of a model."""
    dtype = next(model.parameters()).dtype
    inputs = {m: x.to(dtype) if x.is_floating_point() else x for m, x in batch.inputs.items()}
    return Batch(inputs=inputs, present=batch.present)
