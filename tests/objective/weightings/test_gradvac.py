"""GradVac, step by step as TorchJD, and as the paper says in a case done by hand."""

import math

import pytest
import torch

from jlrun.objective.weightings import GradVac, TaskGradients
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rank_1"])
def test_goes_the_way_of_torchjd_over_steps(kind: str) -> None:
    from torchjd.aggregation import GradVacWeighting

    for count in (2, 3, 8):
        ours, theirs = GradVac(NAMES[:count], beta=0.3).double(), GradVacWeighting(0.3, eps=0.0)
        for step, jacobian in enumerate(jacobians(kind, (count,) * 3)):
            active = torch.ones(count, dtype=torch.bool)
            torch.manual_seed(step)
            update = ours(TaskGradients(NAMES[:count], torch.ones(count), active, (jacobian,)))
            torch.manual_seed(step)
            expected = theirs(jacobian @ jacobian.T) @ jacobian
            assert relative(update, expected) < 1e-5


def test_cancelled_gradients_are_left_alone() -> None:
    weighting = GradVac(NAMES[:3]).double()
    jacobian = torch.tensor([[1.0, 2.0], [-3.0, -6.0], [-0.1, -0.2]]).double()
    active = torch.ones(3, dtype=torch.bool)
    update = weighting(TaskGradients(NAMES[:3], torch.ones(3), active, (jacobian,)))
    assert update.norm() < 1e-12 + float((jacobian[1] + jacobian[2]).norm())
    cosines = (weighting.target / weighting.beta).flatten().tolist()
    assert all(min(abs(value - known) for known in (-1, 0, 1)) < 1e-12 for value in cosines)


def test_the_corrected_gradient_has_the_target_cosine() -> None:
    weighting = GradVac(("a", "b"), beta=0.5).double()
    weighting.target.fill_(0.5)
    a, b = torch.tensor([3.0, 0.0]).double(), torch.tensor([0.0, 2.0]).double()
    active = torch.ones(2, dtype=torch.bool)
    update = weighting(TaskGradients(("a", "b"), torch.ones(2), active, (torch.stack([a, b]),)))
    # a' = a + k b of cosine ½ with b: k ‖b‖ = ‖a‖ tan 30°, and likewise for b'
    expected = a + b + b * (3 / 2) * math.tan(math.pi / 6) + a * (2 / 3) * math.tan(math.pi / 6)
    torch.testing.assert_close(update, expected)
    off_diagonal = weighting.target[0, 1].item(), weighting.target[1, 0].item()
    assert off_diagonal == (0.25, 0.25)  # halfway to the cosine found, which is 0


def test_targets_of_a_task_without_labels_rest() -> None:
    weighting = GradVac(NAMES[:3])
    weighting.target.fill_(0.25)
    jacobian = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, -1.0]])
    active = torch.tensor([True, False, True])
    weighting(TaskGradients(NAMES[:3], torch.ones(3), active, (jacobian,)))
    moved = (weighting.target != 0.25).nonzero().tolist()
    assert moved == [[0, 2], [2, 0]]


def test_a_target_of_one_does_not_ask_for_an_infinite_correction() -> None:
    weighting = GradVac(NAMES[:2])
    weighting.target.fill_(1.0)
    jacobian = torch.tensor([[1.0, 0.0], [-1.0, 0.1]])
    active = torch.ones(2, dtype=torch.bool)
    update = weighting(TaskGradients(NAMES[:2], torch.ones(2), active, (jacobian,)))
    assert update.norm() < 100
