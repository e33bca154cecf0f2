"""GradDrop against TorchJD with the same random numbers, and its mean over them."""

import pytest
import torch

from jlrun.objective.weightings import GradDrop
from tests.objective.weightings.gradient_steps import random_jacobians, step


@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
def test_it_agrees_with_torchjd(leak: float) -> None:
    from torchjd.aggregation import GradDrop as Oracle

    weighting, oracle = GradDrop(tuple("abcd"), leak=leak), Oracle(leak=torch.full((4,), leak))
    for seed, jacobian in enumerate(random_jacobians(20, shape=(4, 50))):
        torch.manual_seed(seed)
        expected = oracle(jacobian)
        torch.manual_seed(seed)
        # the leaks of the oracle are float32
        torch.testing.assert_close(weighting(step(jacobian)), expected, rtol=1e-6, atol=1e-6)


def test_where_signs_agree_it_is_the_sum() -> None:
    jacobian = torch.tensor([[1.0, -2.0, 0.0], [3.0, -1.0, 0.0]])
    for seed in range(5):
        torch.manual_seed(seed)
        assert GradDrop(("a", "b"))(step(jacobian)).tolist() == [4.0, -3.0, 0.0]


def test_the_mean_update_is_the_share_of_each_sign() -> None:
    """E[update] = P Σ max(g, 0) + (1 − P) Σ min(g, 0); here P = 3/4, so 9/4 − 1/4 = 2."""
    torch.manual_seed(0)
    jacobian = torch.tensor([[3.0], [-1.0]]).expand(2, 20000)
    update = GradDrop(("a", "b"))(step(jacobian))
    assert set(update.tolist()) == {3.0, -1.0}
    assert float(update.mean()) == pytest.approx(2.0, abs=0.05)


def test_weights_tell_nothing() -> None:
    assert not GradDrop.reuses_weights
    assert GradDrop(("a", "b")).last_weights.tolist() == [1.0, 1.0]


def test_an_inactive_task_is_absent() -> None:
    (jacobian,) = random_jacobians(1)
    masked = jacobian * torch.tensor([[1.0], [0.0], [1.0]])
    torch.manual_seed(1)
    update = GradDrop(("a", "b", "c"))(step(masked, active=[True, False, True]))
    torch.manual_seed(1)
    torch.testing.assert_close(update, GradDrop(("a", "c"))(step(jacobian[[0, 2]])))
