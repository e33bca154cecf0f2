"""Cosine head: logits from angles only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.heads.shapes import check_vectors
from jlrun.ranges import PositiveFloat, PositiveInt


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
