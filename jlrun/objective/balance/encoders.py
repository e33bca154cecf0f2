"""The encoders of a model by their modality, however tasks share them."""

from __future__ import annotations

from typing import cast

from torch import nn

from jlrun.models.joint_model import JointModel
from jlrun.models.trunk import Trunk


def trunks(model: JointModel) -> list[Trunk]:
    """Return the trunks of a model: one, or one for each task."""
    return [module for module in model.body.modules() if isinstance(module, Trunk)]


def widths(model: JointModel) -> dict[str, int]:
    """Return modality -> width of its features, in the model's order."""
    first, *_ = trunks(model)
    return {m: cast(int, encoder.out_features) for m, encoder in first.encoders.items()}


def encoder_parameters(model: JointModel, modality: str) -> tuple[nn.Parameter, ...]:
    """Return the parameters that train of the encoders of ``modality``, in all trunks."""
    found = {
        id(parameter): parameter
        for trunk in trunks(model)
        for parameter in trunk.encoders[modality].parameters()
        if parameter.requires_grad
    }
    return tuple(found.values())
