"""The affine head."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.models.heads.shapes import check_vectors
from jlrun.ranges import PositiveInt


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
