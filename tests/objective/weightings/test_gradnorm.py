"""GradNorm against its objective differentiated by autograd."""

import pytest
import torch

from jlrun.objective.weightings import GradNorm
from tests.objective.weightings.gradient_steps import (
    assert_goes_on_after_a_round_trip,
    assert_inactive_is_absent,
    random_jacobians,
    step,
)


def test_the_weights_descend_equation_2() -> None:
    """Two steps, with torch.optim.Adam on Σ |n_i − sg(n̄ r_i^α)| as published."""
    jacobians = random_jacobians(2)
    losses = torch.tensor([[2.0, 1.0, 4.0], [1.0, 0.9, 1.0]], dtype=torch.float64)
    weighting = GradNorm(("a", "b", "c"), alpha=1.5, lr=0.1).double()
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.1)
    for jacobian, now in zip(jacobians, losses, strict=True):
        w = 3 * logits.softmax(dim=0)
        update = weighting(step(jacobian, losses=now.tolist()))
        torch.testing.assert_close(update, w.detach() @ jacobian)
        n = (w[:, None] * jacobian).norm(dim=1)
        ratios = now / losses[0]
        targets = (n.mean() * (ratios / ratios.mean()) ** 1.5).detach()
        adam.zero_grad()
        (n - targets).abs().sum().backward()
        adam.step()
    torch.testing.assert_close(weighting.logits, logits.detach())


def test_norms_become_equal_when_tasks_train_alike() -> None:
    """With r = 1 the objective is least where all n_i = w_i ‖g_i‖ are equal: w ∝ 1/‖g_i‖."""
    norms = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    weighting = GradNorm(("a", "b", "c"), lr=0.01).double()
    for _ in range(400):
        weighting(step(torch.diag(norms)))
    expected = 3 / norms / (1 / norms).sum()
    torch.testing.assert_close(weighting.last_weights, expected, rtol=0.05, atol=0)


def test_the_task_that_lags_behind_gains_weight() -> None:
    weighting = GradNorm(("a", "b")).double()
    for loss in (1.0, 0.5, 0.25, 0.25):
        weighting(step(torch.eye(2, dtype=torch.float64), losses=[1.0, loss]))
    assert weighting.last_weights[0] > 1 > weighting.last_weights[1]
    assert float(weighting.last_weights.sum()) == pytest.approx(2)


def test_an_inactive_task_keeps_its_weight_and_gets_its_first_loss_later() -> None:
    weighting = GradNorm(("a", "b", "c")).double()
    (jacobian,) = random_jacobians(1)
    masked = jacobian * torch.tensor([[1.0], [0.0], [1.0]])
    for _ in range(3):
        weighting(step(masked, losses=[1.0, 0.0, 2.0], active=[True, False, True]))
    assert weighting.logits[1] == 0
    assert weighting.first_losses.isnan().tolist() == [False, True, False]
    weighting(step(jacobian, losses=[5.0, 3.0, 5.0]))
    assert weighting.first_losses.tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize("losses", [[0.0, 0.0], [1.0, 0.0], [-1.0, 2.0]])
def test_losses_of_any_sign_leave_weights_finite(losses: list[float]) -> None:
    weighting = GradNorm(("a", "b"))
    for scale in (0.0, 1.0, 1e-12):
        assert torch.isfinite(weighting(step(scale * torch.eye(2), losses=losses))).all()
    assert torch.isfinite(weighting.logits).all()


def test_inactive_tasks_and_resume() -> None:
    steps = [step(j, losses=[1.0, 2.0, 3.0 / (i + 1)]) for i, j in enumerate(random_jacobians(6))]
    assert_inactive_is_absent(GradNorm, steps[:1])
    assert_goes_on_after_a_round_trip(GradNorm, steps)
