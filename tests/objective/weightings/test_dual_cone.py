"""UPGrad and DualProj: optimality conditions of the projection, and TorchJD."""

import pytest
import torch

from jlrun.objective.weightings import DualProj, UPGrad
from jlrun.objective.weightings.dual_cone import DualCone
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of


@pytest.mark.parametrize("reg_eps", [0.0, 1e-4])
@pytest.mark.parametrize("kind", KINDS)
def test_projections_meet_the_optimality_conditions(kind: str, reg_eps: float) -> None:
    for jacobian in jacobians(kind):
        gramian, count = jacobian @ jacobian.T, len(jacobian)
        regular = gramian / gramian.trace() + reg_eps * torch.eye(count).double()
        cone = DualCone(gramian.numpy(), 0.0, reg_eps)
        for u in torch.eye(count).double():
            w = torch.from_numpy(cone.project(u.numpy()))
            inner = regular @ w
            scale = regular.diagonal().sqrt() * regular.diagonal().max().sqrt()
            assert (w >= u).all()
            assert (inner > -1e-12 * scale).all()
            tight = (inner / scale).abs()[w > u]
            assert tight.numel() == 0 or float(tight.max()) < 1e-12


@pytest.mark.parametrize("kind", ["well_scaled", "dependent", "conflicting"])
def test_without_regularisation_no_task_is_hurt(kind: str) -> None:
    for jacobian in jacobians(kind):
        for weighting in (UPGrad, DualProj):
            weights = weights_of(
                weighting(NAMES[: len(jacobian)], reg_eps=0.0), jacobian @ jacobian.T
            )
            gains = jacobian @ (weights @ jacobian)
            assert (gains > -1e-10 * jacobian.norm() ** 2).all()


def short_and_long(ratio: float) -> torch.Tensor:
    """Return two gradients at 127 degrees, the second ``ratio`` times as long."""
    return torch.tensor([[1.0, 0.0], [-0.6 * ratio, 0.8 * ratio]]).double()


@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.01, 0.1, 1.0, 10.0, 1e3, 1e6])
def test_without_regularisation_a_short_gradient_counts_as_a_long_one(ratio: float) -> None:
    closed = {
        # Each made orthogonal to the other: g_i + 0.6 ‖g_i‖ / ‖g_j‖ g_j, halved.
        UPGrad: torch.tensor([1 + 0.6 * ratio, 1 + 0.6 / ratio]).double() / 2,
        # Their mean, orthogonal to the shorter one where it would hurt it.
        DualProj: torch.tensor([max(1, 0.6 * ratio), max(1, 0.6 / ratio)]).double() / 2,
    }
    for weighting, expected in closed.items():
        jacobian = short_and_long(ratio)
        weights = weights_of(weighting(NAMES[:2], reg_eps=0.0), jacobian @ jacobian.T)
        torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("weighting", [UPGrad, DualProj])
def test_with_it_a_gradient_is_heard_less_the_shorter_it_is(weighting: type) -> None:
    """Cosines of the update with the shorter one; that of the mean is −0.6 in the end."""
    cosines = []
    for ratio in (1.0, 30.0, 100.0, 1e3):
        jacobian = short_and_long(ratio)
        update = weights_of(weighting(NAMES[:2]), jacobian @ jacobian.T) @ jacobian
        cosines.append(float(update[0] / update.norm()))
    assert cosines[0] > 0.4
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[1] < -0.02
    assert cosines[3] == pytest.approx(-0.6, abs=0.01)


def test_gradients_without_conflict_are_averaged() -> None:
    for weighting in (UPGrad, DualProj):
        weights = weights_of(
            weighting(NAMES[:3]), torch.ones(3, 3).double() + torch.eye(3).double()
        )
        torch.testing.assert_close(weights, torch.full((3,), 1 / 3).double())


def test_two_opposed_gradients_have_a_closed_form() -> None:
    """Each is made orthogonal to the other, which gains ½ per unit; the mean of both is taken."""
    jacobian = torch.tensor([[1.0, 0.0], [-0.5, 0.75**0.5]]).double()
    weights = weights_of(UPGrad(NAMES[:2], reg_eps=0.0), jacobian @ jacobian.T)
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.75]).double())


def test_gradients_under_norm_eps_are_averaged() -> None:
    jacobian = 1e-3 * torch.tensor([[1.0, 0.0], [-3.0, 1.0]]).double()
    for weighting in (UPGrad, DualProj):
        weights = weights_of(weighting(NAMES[:2], norm_eps=1e-4), jacobian @ jacobian.T)
        assert weights.tolist() == [0.5, 0.5]
        assert weights_of(weighting(NAMES[:2]), jacobian @ jacobian.T).tolist() != [0.5, 0.5]


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torchjd(kind: str) -> None:
    pytest.importorskip("quadprog")
    pytest.importorskip("qpsolvers")
    from torchjd.aggregation import DualProjWeighting, UPGradWeighting

    for jacobian in jacobians(kind):
        gramian, names = jacobian @ jacobian.T, NAMES[: len(jacobian)]
        for ours, theirs in (
            (UPGrad(names, norm_eps=1e-4), UPGradWeighting()),
            (DualProj(names, norm_eps=1e-4), DualProjWeighting()),
        ):
            assert relative(weights_of(ours, gramian), theirs(gramian)) < 1e-5
