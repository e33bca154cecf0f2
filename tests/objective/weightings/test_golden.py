"""Values worked out by hand or from the paper's formula, one per method."""

import math

import pytest
import torch

from jlrun.errors import UserError
from jlrun.objective.weightings import DWA, Static, TaskLosses, Uncertainty
from jlrun.objective.weightings.pcgrad import pcgrad_weights


def losses(*values: float, active: tuple[bool, ...] | None = None) -> TaskLosses:
    names = tuple("abc"[: len(values)])
    mask = torch.tensor(active or (True,) * len(values))
    return TaskLosses(names, torch.tensor(values), mask)


def test_static_weighs_by_name_and_leaves_others_at_one() -> None:
    weighting = Static(("a", "b"), {"b": 3.0})
    assert float(weighting(losses(1.0, 2.0))) == 7.0


def test_static_refuses_a_task_that_does_not_exist() -> None:
    with pytest.raises(UserError, match="Did you mean 'digit'"):
        Static(("digit", "parity"), {"digt": 1.0}).check(("digit", "parity"))


def test_static_may_name_a_task_of_another_phase() -> None:
    weighting = Static(("digit",), {"label": 3.0})
    weighting.check(("digit", "label"))
    assert weighting(losses(2.0)).item() == 2.0


def test_static_refuses_a_phase_in_which_nothing_counts() -> None:
    with pytest.raises(UserError, match="weight 0"):
        Static(("digit",), {"digit": 0.0}).check(("digit",))


def test_uncertainty_is_half_the_sum_at_its_start_and_learns_the_log_of_the_loss() -> None:
    weighting = Uncertainty(("a", "b"))
    assert weighting(losses(4.0, 2.0)).item() == 3.0
    # d/ds (½ e^(−s) L + ½ s) = 0 at s = log L
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weighting(losses(4.0, 2.0)).backward()
        optimizer.step()
    expected = torch.tensor([math.log(4.0), math.log(2.0)])
    torch.testing.assert_close(weighting.log_variance.detach(), expected, atol=1e-4, rtol=0)


def test_dwa_follows_equation_7_after_two_epochs() -> None:
    weighting = DWA(("a", "b"), temperature=2.0)
    for first, second in ((1.0, 1.0), (0.5, 0.9)):
        weighting(losses(first, second))
        assert weighting.last_weights.tolist() == [1.0, 1.0]
        weighting.end_epoch()
    a, b = math.exp(0.5 / 2), math.exp(0.9 / 2)
    torch.testing.assert_close(
        weighting.last_weights, torch.tensor([2 * a / (a + b), 2 * b / (a + b)])
    )


def pcgrad_as_published(gradients: torch.Tensor, seed: int) -> torch.Tensor:
    """Algorithm 1 on the gradients themselves, with the order `pcgrad_weights` draws."""
    torch.manual_seed(seed)
    projected = gradients.clone()
    for i in range(len(gradients)):
        for j in torch.randperm(len(gradients)).tolist():
            if i != j and projected[i] @ gradients[j] < 0:
                inner = projected[i] @ gradients[j]
                projected[i] -= inner / gradients[j].square().sum() * gradients[j]
    return projected.sum(dim=0)


@pytest.mark.parametrize("seed", range(20))
def test_pcgrad_weights_give_the_update_of_algorithm_1(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradients = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    expected = pcgrad_as_published(gradients, seed)
    torch.manual_seed(seed)
    weights = pcgrad_weights(gradients @ gradients.T)
    torch.testing.assert_close(weights @ gradients, expected)


def test_pcgrad_of_two_conflicting_gradients_conflicts_with_neither() -> None:
    gradients = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    weights = pcgrad_weights(gradients @ gradients.T)
    assert ((gradients @ (weights @ gradients)) >= 0).all()
