"""ConFIG: equal cosines, the published length, and TorchJD."""

import pytest
import torch

from jlrun.objective.weightings import ConFIG
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of


@pytest.mark.parametrize("kind", ["well_scaled", "badly_scaled", "conflicting"])
def test_cosines_are_equal_and_the_length_is_the_sum_of_projections(kind: str) -> None:
    for jacobian in jacobians(kind):
        update = weights_of(ConFIG(NAMES[: len(jacobian)]), jacobian @ jacobian.T) @ jacobian
        direction = update / update.norm()
        projections = jacobian @ direction
        cosines = projections / jacobian.norm(dim=1)
        assert float(cosines.max() - cosines.min()) < 1e-9
        assert float(update.norm()) == pytest.approx(float(projections.sum()))
        assert (projections > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torchjd(kind: str) -> None:
    from torchjd.aggregation import ConFIG as Reference

    for jacobian in jacobians(kind):
        ours = weights_of(ConFIG(NAMES[: len(jacobian)]), jacobian @ jacobian.T) @ jacobian
        units = jacobian / jacobian.norm(dim=1, keepdim=True)
        if torch.linalg.pinv(units).sum(dim=1).norm() < 1e-12:
            assert not ours.any()  # no direction: TorchJD takes that of its rounding errors
            continue
        assert relative(ours, Reference()(jacobian)) < 1e-9


def test_opposite_gradients_have_no_direction() -> None:
    jacobian = torch.tensor([[3.0, 4.0], [-6.0, -8.0]]).double()
    assert weights_of(ConFIG(("a", "b")), jacobian @ jacobian.T).tolist() == [0.0, 0.0]
