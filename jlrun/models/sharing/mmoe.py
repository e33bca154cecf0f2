"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing, MakeTrunk
from jlrun.ranges import PositiveInt


class MMoE(FeatureSharing):
    """All tasks have the same experts, and each a gate that mixes them for every row.

    Eqs. (5) to (7) of Ma et al., "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts", KDD 2018. Differs from it in: experts and gates read the fused
    features instead of the input (of maps, gates read their mean over the image).

    Args:
        make_trunk: returns the trunk below the experts.
        tasks: their names.
        num_experts: n.
        hidden: units of each layer of an expert; the last is the width of the heads' input.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        num_experts: PositiveInt = 4,
        hidden: Sequence[PositiveInt] = (256,),
    ) -> None:
        super().__init__(make_trunk, tasks)
        width = self.trunk.out_features
        self.experts = Experts(num_experts, width, hidden)
        self.gates = nn.ModuleDict({task: Gate(width, num_experts) for task in tasks})
        self.out_features = self.experts.out_features

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        outputs = self.experts(fused)
        return {task: mix(self.gates[task](fused), outputs) for task in tasks}

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return [*self.trunk.parameters(), *self.experts.parameters()]


# n experts, D width of what they read, W width of what they yield


class Experts(nn.Module):
    """n MLPs, each ``(B, D)`` -> ``(B, W)``; of maps ``(B, D, h, w)`` every pixel by itself.

    Args:
        count: n.
        in_features: D.
        hidden: units of each layer, followed by a ReLU; the last is W. Without any layer an expert
            is the identity.
    """

    def __init__(self, count: int, in_features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [in_features, *hidden]
        self.experts = nn.ModuleList(_mlp(widths) for _ in range(count))
        self.out_features = widths[-1]

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(n, B, W)``; ``(n, B, W, h, w)`` of maps."""
        rows = features.movedim(1, -1)
        return torch.stack([expert(rows).movedim(-1, 1) for expert in self.experts])


class Gate(nn.Module):
    """The share of each of n experts: softmax(V x), ``(B, n)``, of features ``(B, D)`` or maps."""

    def __init__(self, in_features: int, count: int) -> None:
        super().__init__()
        self.scores = nn.Linear(in_features, count, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.scores(summary(features)).softmax(dim=1)


def summary(features: Tensor) -> Tensor:
    """Return features ``(B, D)`` as they are, and maps ``(B, D, h, w)`` averaged to that."""
    return features.flatten(2).mean(dim=2) if features.ndim > 2 else features


def mix(shares: Tensor, outputs: Tensor) -> Tensor:
    """Return Σ_i share_i output_i ``(B, W, ...)`` of ``(B, n)`` and ``(n, B, W, ...)``."""
    return torch.einsum("bn,nb...->b...", shares.to(outputs.dtype), outputs)


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)
