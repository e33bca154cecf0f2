"""CAGrad: the primal and the dual value are equal, which only the optimum's are."""

import pytest
import torch
from torch import Tensor

from jlrun.objective.weightings import CAGrad
from jlrun.objective.weightings.cagrad import conflict_averse_multipliers
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of


def worst_gain(jacobian: Tensor, update: Tensor) -> float:
    return float((jacobian @ update).min())


@pytest.mark.parametrize("c", [0.1, 0.4, 0.9, 1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_primal_and_dual_values_are_equal(kind: str, c: float) -> None:
    for jacobian in jacobians(kind):
        gramian = jacobian @ jacobian.T
        g_0 = jacobian.mean(dim=0)
        radius = c * g_0.norm()
        update = weights_of(CAGrad(NAMES[: len(jacobian)], c), gramian) @ jacobian
        assert (update - g_0).norm() <= radius * (1 + 1e-9)
        multipliers = torch.from_numpy(conflict_averse_multipliers(gramian.numpy(), c))
        assert (multipliers >= 0).all()
        scale = float(jacobian.norm() * g_0.norm())
        if multipliers.sum() == 0 or (update - g_0).norm() < radius * (1 - 1e-9):
            assert worst_gain(jacobian, update) == pytest.approx(0, abs=1e-9 * scale)
            continue
        g_w = multipliers / multipliers.sum() @ jacobian
        dual = float(g_w @ g_0 + radius * g_w.norm())
        assert worst_gain(jacobian, update) == pytest.approx(dual, rel=1e-9, abs=1e-12 * scale)


def test_is_the_mean_gradient_at_a_radius_of_zero() -> None:
    jacobian = next(jacobians("conflicting", (5,)))
    weights = weights_of(CAGrad(NAMES[:5], 0.0), jacobian @ jacobian.T)
    assert weights.tolist() == [0.2] * 5


@pytest.mark.parametrize(("rescale", "divisor"), [("linear", 1.4), ("squared", 1.16)])
def test_rescales_as_the_authors_code(rescale: str, divisor: float) -> None:
    jacobian = next(jacobians("conflicting", (5,)))
    gramian = jacobian @ jacobian.T
    plain = weights_of(CAGrad(NAMES[:5]), gramian)
    found = weights_of(CAGrad(NAMES[:5], rescale=rescale), gramian)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(found, plain / divisor)


def test_goes_on_where_tasks_can_only_be_traded() -> None:
    """g_1 = −2 g_2: Pareto-stationary, but c < 1 promises progress on the mean loss."""
    jacobian = torch.tensor([[2.0, 0.0], [-1.0, 0.0]]).double()
    update = weights_of(CAGrad(("a", "b"), 0.4), jacobian @ jacobian.T) @ jacobian
    # g_0 = ½: min over |g_w| of g_w·g_0 + c‖g_0‖‖g_w‖ is at g_w = −1, d = 0.5 − 0.2
    torch.testing.assert_close(update, torch.tensor([0.3, 0.0]).double())


@pytest.mark.parametrize("kind", KINDS)
def test_no_worse_than_torchjd_and_near_to_it(kind: str) -> None:
    """Its solver stops at a gap of 1e-8, which is 1e-4 in the update.

    A g_w that is small beside the largest gradient it takes for 0, and returns the update 0, which
    is outside the ball: that of badly scaled gradients is known by the duality gap only.
    """
    pytest.importorskip("cvxpy")
    pytest.importorskip("clarabel")
    from torchjd.aggregation import CAGradWeighting

    for jacobian in jacobians(kind):
        gramian = jacobian @ jacobian.T
        ours = weights_of(CAGrad(NAMES[: len(jacobian)]), gramian) @ jacobian
        theirs = CAGradWeighting(0.4)(gramian) @ jacobian
        if not theirs.any():
            assert kind == "badly_scaled"
            continue
        size = float(jacobian.norm() * jacobian.mean(dim=0).norm())
        assert worst_gain(jacobian, ours) >= worst_gain(jacobian, theirs) - 1e-7 * size
        assert relative(ours, theirs) < 1e-3
