"""IMTL-G and IMTL: equal projections, TorchJD, and the scales as learned by autograd."""

import pytest
import torch

from jlrun.objective.weightings import IMTL, IMTLG, TaskGradients
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of


@pytest.mark.parametrize("kind", ["well_scaled", "badly_scaled", "conflicting"])
def test_projections_on_all_gradients_are_equal(kind: str) -> None:
    for jacobian in jacobians(kind):
        weights = weights_of(IMTLG(NAMES[: len(jacobian)]), jacobian @ jacobian.T)
        assert float(weights.sum()) == pytest.approx(1, abs=1e-9 * float(weights.abs().sum()))
        update = weights @ jacobian
        cosines = jacobian @ update / jacobian.norm(dim=1) / update.norm()
        assert float(cosines.max() - cosines.min()) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torchjd_or_has_more_equal_projections(kind: str) -> None:
    from torchjd.aggregation import IMTLGWeighting

    def spread(jacobian: torch.Tensor, update: torch.Tensor) -> float:
        cosines = jacobian @ update / jacobian.norm(dim=1) / update.norm()
        return float(cosines.max() - cosines.min())

    for jacobian in jacobians(kind):
        gramian = jacobian @ jacobian.T
        weights = weights_of(IMTLG(NAMES[: len(jacobian)]), gramian)
        ours = weights @ jacobian
        theirs = IMTLGWeighting()(gramian) @ jacobian
        if relative(ours, theirs) < 1e-5:
            continue
        if kind in ("dependent", "rank_1"):  # Pareto-stationary: a convex combination is 0
            assert (weights > 0).all()
            assert float(ours.norm()) < 1e-6 * float((weights[:, None] * jacobian).norm())
        else:
            assert kind == "badly_scaled"
            assert spread(jacobian, ours) < 0.01 * spread(jacobian, theirs)


def gradients(jacobian: torch.Tensor, losses: torch.Tensor, active: torch.Tensor) -> TaskGradients:
    return TaskGradients(NAMES[: len(losses)], losses, active, (jacobian,))


def test_scales_follow_the_gradient_of_the_loss_balance() -> None:
    losses, active = torch.tensor([4.0, 0.25, 1.0]), torch.ones(3, dtype=torch.bool)
    weighting = IMTL(NAMES[:3], lr=0.1)
    s = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([s], lr=0.1)
    jacobian = next(jacobians("well_scaled", (3,))).float()
    for _ in range(10):
        weighting(gradients(jacobian, losses, active))
        optimizer.zero_grad()
        (s.exp() * losses - s).sum().backward()
        optimizer.step()
    torch.testing.assert_close(weighting.log_scale, s.detach(), atol=1e-5, rtol=1e-5)


def test_scaled_losses_change_the_length_of_the_update_only() -> None:
    jacobian = next(jacobians("well_scaled", (3,)))
    active = torch.ones(3, dtype=torch.bool)
    weighting = IMTL(NAMES[:3]).double()
    weighting.log_scale.copy_(torch.tensor([1.0, -2.0, 0.5]))
    scaled = weighting.log_scale.exp()[:, None] * jacobian
    expected = weights_of(IMTLG(NAMES[:3]), scaled @ scaled.T) @ scaled
    update = weighting(gradients(jacobian, torch.ones(3), active))
    torch.testing.assert_close(update, expected)
    plain = weights_of(IMTLG(NAMES[:3]), jacobian @ jacobian.T) @ jacobian
    cosine = torch.nn.functional.cosine_similarity(update, plain, dim=0)
    assert abs(float(cosine)) == pytest.approx(1, abs=1e-12)


def test_the_scale_of_a_task_without_labels_rests() -> None:
    weighting = IMTL(NAMES[:2], lr=0.1)
    jacobian = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    weighting(gradients(jacobian, torch.tensor([3.0, 3.0]), torch.tensor([True, True])))
    first, second = weighting.log_scale.tolist()
    jacobian[1] = 0
    weighting(gradients(jacobian, torch.tensor([3.0, 0.0]), torch.tensor([True, False])))
    assert weighting.log_scale[0] != first
    assert weighting.log_scale[1] == second
