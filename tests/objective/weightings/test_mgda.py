"""MGDA: the shortest point of the convex hull, by optimality conditions and TorchJD."""

import pytest
import torch

from jlrun.objective.weightings import MGDA, TaskGradients
from tests.objective.weightings.gramians import KINDS, NAMES, jacobians, weights_of


@pytest.mark.parametrize("kind", KINDS)
def test_meets_the_optimality_conditions_and_is_no_longer_than_torchjds(kind: str) -> None:
    from torchjd.aggregation import MGDAWeighting

    frank_wolfe = MGDAWeighting()
    for jacobian in jacobians(kind):
        gramian = jacobian @ jacobian.T
        weights = weights_of(MGDA(NAMES[: len(jacobian)]), gramian)
        assert (weights >= 0).all()
        assert abs(float(weights.sum()) - 1) < 1e-12
        update = weights @ jacobian
        # g_i·d ≥ ‖d‖² for all i, and so (as Σ w_i = 1) equal where w_i > 0
        slack = jacobian @ update - update @ update
        assert (slack > -1e-9 * jacobian.norm(dim=1) * (weights @ jacobian.norm(dim=1))).all()
        theirs = frank_wolfe(gramian) @ jacobian
        assert update.norm() <= theirs.norm() * (1 + 1e-9) + 1e-12 * jacobian.norm()


def test_of_two_gradients_torchjd_finds_the_same() -> None:
    from torchjd.aggregation import MGDAWeighting

    for kind in ("well_scaled", "badly_scaled"):
        for jacobian in jacobians(kind, counts=(2,) * 10):
            gramian = jacobian @ jacobian.T
            expected = MGDAWeighting()(gramian)
            torch.testing.assert_close(
                weights_of(MGDA(NAMES[:2]), gramian), expected, atol=1e-5, rtol=0
            )


def test_a_gradient_of_zero_takes_all_the_weight() -> None:
    weights = weights_of(MGDA(NAMES[:3]), torch.diag(torch.tensor([1.0, 0.0, 2.0]).double()))
    assert weights.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("normalize", "expected"),
    # orthogonal gradients of norms 1 and 2, losses 1 and 2/3; divided, their norms n_i are
    # (1, 2), (1, 1), (1, 3) and (1, 3/2), and w_i ∝ 1 / n_i²
    [
        ("none", [0.8, 0.2]),
        ("l2", [0.5, 0.5]),
        ("loss", [0.9, 0.1]),
        ("loss+", [9 / 13, 4 / 13]),
    ],
)
def test_gradients_are_normalised_while_weights_are_found(
    normalize: str, expected: list[float]
) -> None:
    jacobian = torch.tensor([[0.0, 1.0, 0.0], [9.0, 9.0, 9.0], [2.0, 0.0, 0.0]])
    losses = torch.tensor([1.0, 7.0, 2 / 3])
    active = torch.tensor([True, False, True])
    weighting = MGDA(NAMES[:3], normalize)  # pyright: ignore[reportArgumentType]
    update = weighting(TaskGradients(NAMES[:3], losses, active, (jacobian,)))
    weights = torch.tensor([expected[0], 0.0, expected[1]])
    torch.testing.assert_close(weighting.last_weights, weights)
    torch.testing.assert_close(update, weights @ jacobian)  # of the gradients as they are
