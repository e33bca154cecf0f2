"""Heads on a vector for each row: affine, with a hidden layer, by angles."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class Linear(nn.Linear):
    """Logits ``(B, out_features) = f Wᵀ + b`` of features f ``(B, in_features)``.

    Args:
        in_features: width of the features.
        out_features: number of logits.
        bias: whether there is a b.
    """

    def __init__(
        self, in_features: PositiveInt, out_features: PositiveInt, bias: bool = True
    ) -> None:
        super().__init__(in_features, out_features, bias)

    def forward(self, input: Tensor) -> Tensor:
        check_vectors(input)
        return super().forward(input)


class MLP(nn.Module):
    """Logits ``(B, out_features)`` through one hidden layer with ReLU.

    Args:
        in_features: width of the features ``(B, in_features)``.
        out_features: number of logits.
        hidden: units of the hidden layer, which belongs to this task alone.
        dropout: share of the hidden units that are dropped in training.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        hidden: PositiveInt = 128,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, out_features)

    def forward(self, features: Tensor) -> Tensor:
        check_vectors(features)
        return self.output(self.dropout(self.hidden(features).relu()))


class Cosine(nn.Module):
    """Logits ``(B, out_features)``: ``scale · cos(f, w_k)`` of features f ``(B, in_features)``.

    The norms of features and class weights play no part, which keeps old and new, frequent and rare
    classes comparable. After Gidaris & Komodakis, "Dynamic Few-Shot Visual Learning without
    Forgetting", CVPR 2018. Differs from it in: nothing. A feature of zeros has logits 0.

    Args:
        in_features: width of the features.
        out_features: number of logits, each in [-scale, scale].
        scale: the (first) scale; large enough that a softmax over the classes can become certain.
        learn_scale: whether the scale is a parameter.
    """

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        scale: PositiveFloat = 16.0,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / in_features**0.5)
        self.scale = nn.Parameter(torch.tensor(float(scale)), requires_grad=learn_scale)

    def forward(self, features: Tensor) -> Tensor:
        check_vectors(features)
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


def check_vectors(features: Tensor) -> None:
    """Check that features are ``(B, D)``.

    Raises:
        UserError: if they are maps, as the encoder of dense tasks yields them.
    """
    if features.ndim > 2:
        raise UserError.of(
            "heads",
            f"this head reads a vector for each row, but the backbone yields maps of shape "
            f"{tuple(features.shape[1:])}. Use heads=aspp for dense tasks, or another backbone, "
            "such as backbone/image=resnet18, for others",
        )
