"""Gramians of every awkward kind give finite weights; the small problems are exact."""

import numpy as np
import pytest
import torch

from jlrun.objective.weightings import (
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualProj,
    FairGrad,
    GradVac,
    GramianWeighting,
    NashMTL,
    TaskGradients,
    UPGrad,
)
from jlrun.objective.weightings.gramian import factor, nonnegative_least_squares
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, relative, weights_of

CLASSES = (
    MGDA,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualProj,
    FairGrad,
    GradVac,
    IMTLG,
    NashMTL,
    UPGrad,
)
AWKWARD = {
    "zero": torch.zeros(3, 4),
    "one_zero_row": torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0], [-1.0, 0.5, 1.0]]),
    "opposite": torch.tensor([[1.0, -2.0], [-1.0, 2.0]]),
    "opposite_of_other_lengths": torch.tensor([[3.0, -6.0], [-1e-5, 2e-5], [-2.0, 4.0]]),
    "same": torch.ones(16, 3),
    "tiny": 1e-17 * torch.tensor([[1.0, 0.0], [0.6, 0.8]]),
    "huge": 1e15 * torch.tensor([[1.0, 0.0], [-0.6, 0.8]]),
    "cancelling": torch.tensor([[1.0, 1e-6], [-1.0, 1e-6]]),
    "one_task": torch.tensor([[0.5, -0.25]]),
}


@pytest.mark.parametrize("jacobian", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("kind", CLASSES)
def test_weights_of_awkward_float32_gradients_are_finite(
    kind: type[GramianWeighting], jacobian: torch.Tensor
) -> None:
    count = len(jacobian)
    losses, active = torch.ones(count), torch.ones(count, dtype=torch.bool)
    weighting = kind(NAMES[:count])
    update = weighting(TaskGradients(NAMES[:count], losses, active, (jacobian,)))
    assert torch.isfinite(weighting.last_weights).all()
    assert torch.isfinite(update).all()
    if count == 1:
        assert float(weighting.last_weights) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_factor_keeps_the_scale_of_each_row(kind: str) -> None:
    for jacobian in jacobians(kind):
        gramian = (jacobian @ jacobian.T).numpy()
        a = factor(gramian)
        norms = np.sqrt(gramian.diagonal())
        assert np.abs((a @ a.T - gramian) / np.outer(norms, norms)).max() < 1e-13


def test_nonnegative_least_squares_meets_its_optimality_conditions() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        matrix = generator.standard_normal((6, 5)) * 10.0 ** generator.uniform(-6, 6, 5)
        target = generator.standard_normal(6)
        u = nonnegative_least_squares(matrix, target)
        slope = matrix.T @ (matrix @ u - target) / np.linalg.norm(matrix, axis=0)
        assert (u >= 0).all()
        assert (slope > -1e-12).all()
        assert np.abs(slope[u > 0]).max(initial=0.0) < 1e-12


def test_a_task_without_gradient_leaves_the_others_as_they_are() -> None:
    jacobian = torch.tensor([[1.0, 2.0], [0.0, 0.0], [-1.0, 0.5]], dtype=torch.float64)
    for kind in (AlignedMTL, ConFIG, FairGrad, IMTLG, NashMTL):
        whole = weights_of(kind(NAMES[:3]), jacobian @ jacobian.T)
        rest = jacobian[[0, 2]]
        expected = weights_of(kind(NAMES[:2]), rest @ rest.T)
        assert relative(whole[[0, 2]], expected) < 1e-12
        assert whole[1] == 1
