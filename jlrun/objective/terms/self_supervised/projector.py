"""Projectors: small networks on the features that belong to terms."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

from torch import nn

from jlrun.models.joint_model import JointModel
from jlrun.models.sharing.base import FeatureSharing, TrunkSharing
from jlrun.models.trunk import Trunk

Module = TypeVar("Module", bound=nn.Module)


def projector(
    in_features: int, hidden: int, out_features: int, layers: int = 2, bias: bool = True
) -> nn.Sequential:
    """Return linear layers with BatchNorm and ReLU between them, from features to projections.

    BatchNorm uses the statistics of the batch always and keeps none, so that evaluating the loss
    changes no state. Both views of the rows pass at once: it never sees a single row.

    Args:
        in_features: width of the features.
        hidden: width between the layers.
        out_features: width of the projections.
        layers: number of linear layers.
        bias: of the last layer.
    """
    widths = [in_features, *[hidden] * (layers - 1)]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = nn.BatchNorm1d(after, track_running_stats=False)
        parts += [nn.Linear(before, after, bias=False), norm, nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], out_features, bias=bias))


def fused_width(model: JointModel) -> int:
    """Return the width D of the fused features of ``model``."""
    trunk = any_trunk(model)
    return model.body.out_features if trunk is None else trunk.out_features


def any_trunk(model: JointModel) -> Trunk | None:
    """Return a trunk of ``model``, for what is the same in all; None if the body has none."""
    match model.body:
        case FeatureSharing(trunk=trunk) | TrunkSharing(any_trunk=trunk):
            return trunk
        case _:
            return None


def placed(module: Module, model: nn.Module) -> Module:
    """Return ``module`` with the device and dtype of the model's parameters."""
    parameter = next(model.parameters())
    return module.to(parameter.device, parameter.dtype)
