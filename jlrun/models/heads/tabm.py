"""TabM: an ensemble of networks that share their weights but for scales and biases."""

# B rows, M members, I inputs and O outputs of a layer

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from jlrun.models.heads.members import EnsembleHead
from jlrun.models.heads.vectors import check_vectors
from jlrun.ranges import Fraction, PositiveInt


class TabM(EnsembleHead):
    """Mean logits of M networks that share all weight matrices but the last.

    Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling", ICLR 2025: each layer is s_m ⊙ (W (r_m ⊙ x)) + b_m with scales
    r_m, s_m and biases b_m of member m; those of the first inputs begin at random signs, the others
    at 1. Differs from it in: logits are averaged, not probabilities; the features that it reads are
    those of the model's body, which members share; a linear layer on them, which members share too,
    is added, so that what is linear (as most of what words tell) need not go through the layers.

    Args:
        in_features: width of the features ``(B, in_features)``.
        out_features: number of logits.
        count: M.
        hidden: units of each layer.
        dropout: share of each layer's units that are dropped in training.
        linear: whether the linear layer is added.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        count: PositiveInt = 16,
        hidden: Sequence[PositiveInt] = (128, 128),
        dropout: Fraction = 0.1,
        linear: bool = True,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features) if linear else None
        widths = [in_features, *hidden]
        self.count = count
        self.layers = nn.ModuleList(
            ScaledLinear(before, after, count, signs=i == 0)
            for i, (before, after) in enumerate(pairwise(widths))
        )
        self.dropout = nn.Dropout(dropout)
        self.output = SeparateLinear(widths[-1], out_features, count)

    def members(self, features: Tensor) -> Tensor:
        check_vectors(features)
        x = features[:, None].expand(-1, self.count, -1)
        for layer in self.layers:
            x = self.dropout(layer(x).relu())
        found = self.output(x)
        return found if self.linear is None else found + self.linear(features)[:, None]


class ScaledLinear(nn.Module):
    """Linear layer of M members: one matrix, and inputs, outputs and biases scaled by each.

    Args:
        in_features: I.
        out_features: O.
        count: M.
        signs: whether the scales of inputs begin at random signs, not at 1.
    """

    def __init__(self, in_features: int, out_features: int, count: int, *, signs: bool) -> None:
        super().__init__()
        plain = nn.Linear(in_features, out_features)
        self.weight = nn.Parameter(plain.weight.detach())
        r = torch.ones(count, in_features)
        self.r = nn.Parameter(torch.randint_like(r, 2) * 2 - 1 if signs else r)
        self.s = nn.Parameter(torch.ones(count, out_features))
        self.bias = nn.Parameter(plain.bias.detach().repeat(count, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, M, O)`` of ``(B, M, I)``."""
        return (x * self.r) @ self.weight.mT * self.s + self.bias


class SeparateLinear(nn.Module):
    """Linear layer of M members, each with its own matrix and biases.

    Args:
        in_features: I.
        out_features: O.
        count: M.
    """

    def __init__(self, in_features: int, out_features: int, count: int) -> None:
        super().__init__()
        bound = in_features**-0.5
        self.weight = nn.Parameter(torch.empty(count, in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(count, out_features))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, M, O)`` of ``(B, M, I)``."""
        return torch.einsum("bmi,mio->bmo", x, self.weight) + self.bias
