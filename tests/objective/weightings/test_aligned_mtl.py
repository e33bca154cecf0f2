"""Aligned-MTL: TorchJD, and the length its definition implies."""

import pytest
import torch

from jlrun.objective.weightings import AlignedMTL
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torchjd_of_unit_preferences(kind: str, scale: str) -> None:
    from torchjd.aggregation import AlignedMTLWeighting

    tolerance = 1e-3 if kind == "badly_scaled" else 1e-9  # see the next test
    for jacobian in jacobians(kind):
        gramian, count = jacobian @ jacobian.T, len(jacobian)
        ours = AlignedMTL(NAMES[:count], scale)  # pyright: ignore[reportArgumentType]
        theirs = AlignedMTLWeighting(torch.ones(count).double(), scale_mode=scale)  # pyright: ignore[reportArgumentType]
        assert (
            relative(weights_of(ours, gramian) @ jacobian, theirs(gramian) @ jacobian) < tolerance
        )


def test_the_length_is_exact_where_torchjd_is_not() -> None:
    """‖J w‖² = s T, with 1/s the largest eigenvalue of G⁻¹ = D⁻¹ C⁻¹ D⁻¹, a sum of like signs."""
    from torchjd.aggregation import AlignedMTLWeighting

    worst = {"ours": 0.0, "theirs": 0.0}
    for jacobian in jacobians("badly_scaled"):
        gramian, count = jacobian @ jacobian.T, len(jacobian)
        units = jacobian / jacobian.norm(dim=1, keepdim=True)
        inverse = torch.linalg.inv(units @ units.T) / jacobian.norm(dim=1)
        s = 1 / torch.linalg.eigvalsh(inverse / jacobian.norm(dim=1)[:, None])[-1]
        theirs = AlignedMTLWeighting(torch.ones(count).double())
        for name, weights in (
            ("ours", weights_of(AlignedMTL(NAMES[:count]), gramian)),
            ("theirs", theirs(gramian)),
        ):
            square = float((weights @ jacobian).square().sum() / (s * count))
            worst[name] = max(worst[name], abs(square - 1))
    assert worst["ours"] < 1e-8
    assert worst["ours"] < 0.01 * worst["theirs"]


def test_orthogonal_gradients_are_brought_to_the_least_length() -> None:
    weights = weights_of(AlignedMTL(NAMES[:3]), torch.diag(torch.tensor([4.0, 1.0, 9.0]).double()))
    torch.testing.assert_close(weights, torch.tensor([1 / 2, 1, 1 / 3]).double())
