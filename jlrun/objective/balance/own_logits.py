"""What a model's own heads say of each modality alone, where they can be taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.fusions import Concat
from jlrun.models.fusions.late import LateHead
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.objective.balance.encoders import widths


def can_be_taken_apart(model: JointModel, heads: Sequence[str]) -> bool:
    """Whether logits are a sum (`Concat` and a linear head) or a mean (`Late`) over modalities."""
    if not isinstance(model.body, Hard):
        return False
    networks = [model.heads[head] for head in heads]
    if isinstance(model.body.trunk.fusion, Concat):
        return all(isinstance(network, nn.Linear) for network in networks)
    return all(isinstance(network, LateHead) for network in networks)


def own_logits(model: JointModel, head: str, modality: str, features: Tensor) -> Tensor:
    """Return the logits of ``head`` by one modality, ``(B, outputs)``.

    Of a linear head on concatenated features they are W_m f_m + b / M (Peng et al., 2022, eq. 8);
    averaged heads are there already.

    Args:
        model: one that `can_be_taken_apart`.
        head: its name.
        modality: its name.
        features: of the modality, ``(B, D_m)``.
    """
    network = model.heads[head]
    if isinstance(network, LateHead):
        return network.parts[modality](features)
    linear, sizes = cast(nn.Linear, network), widths(model)
    weights = dict(zip(sizes, linear.weight.split(list(sizes.values()), dim=1), strict=True))
    bias = None if linear.bias is None else linear.bias / len(sizes)
    return F.linear(features, weights[modality], bias)
