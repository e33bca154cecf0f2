"""FairGrad and Nash-MTL: the equation they solve, closed forms, and TorchJD's residuals."""

import pytest
import torch
from torch import Tensor

from jlrun.objective.weightings import FairGrad, NashMTL
from tests.objective.weightings.gramians import NAMES, jacobians, relative, weights_of

# No w > 0 solves it where the gradients of `rank_1` have both signs.
SOLVABLE = ("well_scaled", "badly_scaled", "conflicting")


def residual(gramian: Tensor, weights: Tensor, alpha: float) -> float:
    """Return the largest |(G w)_i w_i^(1/α) − 1|."""
    return float(((gramian @ weights) * weights ** (1 / alpha) - 1).abs().max())


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("kind", SOLVABLE)
def test_solves_its_equation(kind: str, alpha: float) -> None:
    for jacobian in jacobians(kind):
        gramian = jacobian @ jacobian.T
        weights = weights_of(FairGrad(NAMES[: len(jacobian)], alpha), gramian)
        assert (weights > 0).all()
        rounding = 1e-15 * float((gramian.abs() @ weights * weights ** (1 / alpha)).max())
        assert residual(gramian, weights, alpha) < 1e-10 + rounding


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_orthogonal_and_equal_gradients_have_closed_forms(alpha: float) -> None:
    squares = torch.tensor([1e-4, 1.0, 1e6]).double()
    weights = weights_of(FairGrad(NAMES[:3], alpha), torch.diag(squares))
    torch.testing.assert_close(weights, squares ** (-alpha / (1 + alpha)))
    equal = weights_of(FairGrad(NAMES[:4], alpha), torch.ones(4, 4).double())
    torch.testing.assert_close(equal, torch.full((4,), 0.25).double() ** (alpha / (1 + alpha)))


def test_scales_with_the_gramian_as_a_power() -> None:
    jacobian = next(jacobians("conflicting", (5,)))
    gramian = jacobian @ jacobian.T
    weights = weights_of(FairGrad(NAMES[:5]), gramian)
    torch.testing.assert_close(
        weights_of(FairGrad(NAMES[:5]), 1e-8 * gramian), weights * 1e-8 ** (-2 / 3)
    )


@pytest.mark.parametrize("kind", SOLVABLE)
def test_agrees_with_torchjds_fairgrad_or_has_the_smaller_residual(kind: str) -> None:
    from torchjd.aggregation import FairGradWeighting

    for jacobian in jacobians(kind, (2, 4)):
        gramian = jacobian @ jacobian.T
        ours = weights_of(FairGrad(NAMES[: len(jacobian)]), gramian)
        theirs = FairGradWeighting(2.0)(gramian)
        if relative(ours @ jacobian, theirs @ jacobian) >= 1e-5:
            assert residual(gramian, ours, 2.0) < 1e-3 * residual(gramian, theirs, 2.0)


@pytest.mark.parametrize("kind", SOLVABLE)
def test_nash_does_not_depend_on_the_scale_of_a_loss(kind: str) -> None:
    for jacobian in jacobians(kind, (2, 5)):
        count = len(jacobian)
        scale = torch.logspace(-3, 3, count, dtype=torch.float64)[:, None]
        other = jacobian * scale
        weighting = NashMTL(NAMES[:count], max_norm=0.0)
        update = weights_of(weighting, jacobian @ jacobian.T) @ jacobian
        assert float(update.norm()) == pytest.approx(count**0.5)
        assert relative(weights_of(weighting, other @ other.T) @ other, update) < 1e-9


def test_nash_limits_the_norm_of_the_update() -> None:
    jacobian = next(jacobians("conflicting", (5,)))
    free = weights_of(NashMTL(NAMES[:5], max_norm=0.0), jacobian @ jacobian.T) @ jacobian
    clipped = weights_of(NashMTL(NAMES[:5]), jacobian @ jacobian.T) @ jacobian
    torch.testing.assert_close(clipped, free / 5**0.5)
    torch.testing.assert_close(
        weights_of(NashMTL(NAMES[:5], max_norm=9.0), jacobian @ jacobian.T) @ jacobian, free
    )


def test_opposite_gradients_almost_cancel() -> None:
    jacobian = torch.tensor([[3.0, 4.0], [-6.0, -8.0]]).double()
    for weighting in (FairGrad(("a", "b")), NashMTL(("a", "b"), max_norm=0.0)):
        weights = weights_of(weighting, jacobian @ jacobian.T)
        assert (weights > 0).all()
        assert (weights @ jacobian).norm() < 1e-2 * (weights @ jacobian.norm(dim=1))


@pytest.mark.filterwarnings("ignore")  # of cvxpy, about the program and the solver's precision
@pytest.mark.parametrize("kind", SOLVABLE)
def test_agrees_with_torchjds_nash_or_has_the_smaller_residual(kind: str) -> None:
    pytest.importorskip("cvxpy")
    pytest.importorskip("ecos")
    from torchjd.aggregation import NashMTL as Reference

    for jacobian in jacobians(kind, (2, 3, 8)):
        gramian, count = jacobian @ jacobian.T, len(jacobian)
        ours = weights_of(NashMTL(NAMES[:count], max_norm=0.0), gramian)
        reference = Reference(count, 0.0, 1, 100)
        theirs = reference.weighting(jacobian)
        if relative(ours @ jacobian, theirs @ jacobian) >= 1e-5:
            ours_is, theirs_is = residual(gramian, ours, 1.0), residual(gramian, theirs, 1.0)
            assert ours_is < theirs_is
