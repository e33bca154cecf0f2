"""The losses against loops over rows and classes, and the closed form against its objective."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.class_vectors import class_vectors
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.strategies.zero_shot import ALE, CLIP, ESZSL, ClassSplit, ClosedForm, DeViSE, SolveEszsl
from jlrun.strategies.zero_shot.methods import Method, solve
from tests.toy import ToyEncoder, hard_model, toy_stream

METHODS = [CLIP(), DeViSE(0.3), ALE(0.7), ESZSL()]
METHOD = ESZSL(gamma=0.7, lambda_=0.3)
CLASSES = tuple("0123")
TABLE = {"0": [1, 0, 0], "1": [0, 1, 0], "2": [1, 1, 0], "3": [1, 1, 1]}
SPLIT = ClassSplit(CLASSES, seen=(0, 1, 2, 3), unseen=())
CLOSED_FORM = ESZSL(gamma=0.5, lambda_=0.2, negative=-0.4)


def rows(count: int = 7, classes: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    return scores, torch.randint(classes, (count,), generator=generator)


def test_devise_is_a_sum_over_wrong_classes() -> None:
    scores, target = rows()
    expected = []
    for s, y in zip(scores.tolist(), target.tolist(), strict=True):
        expected.append(sum(max(0.0, 0.3 - s[y] + s[j]) for j in range(len(s)) if j != y))
    assert DeViSE(0.3).loss(scores, target, 0.0).tolist() == pytest.approx(expected)


def test_ale_weighs_the_sum_by_the_rank_of_the_true_class() -> None:
    scores, target = rows()
    expected = []
    for s, y in zip(scores.tolist(), target.tolist(), strict=True):
        wrong = [0.7 - s[y] + s[j] for j in range(len(s)) if j != y]
        ahead = [excess for excess in wrong if excess > 0]
        beta = sum(1 / i for i in range(1, len(ahead) + 1))
        expected.append(beta * sum(ahead) / len(ahead) if ahead else 0.0)
    assert ALE(0.7).loss(scores, target, 0.0).tolist() == pytest.approx(expected)


def test_ale_is_devise_where_one_class_is_ahead() -> None:
    scores, target = torch.tensor([[1.0, 0.9, -3.0, -4.0]]), torch.tensor([0])
    torch.testing.assert_close(
        ALE(0.5).loss(scores, target, 0), DeViSE(0.5).loss(scores, target, 0)
    )


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_of_the_value(method: Method) -> None:
    scores, target = rows()
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: method.loss(s, target, 0.0), scores)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_classes_does_not_matter(method: Method) -> None:
    scores, target = rows()
    order = torch.tensor([3, 1, 4, 0, 2])
    moved = torch.argsort(order)[target]
    torch.testing.assert_close(
        method.loss(scores[:, order], moved, 0.0), method.loss(scores, target, 0.0)
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_row_that_is_far_ahead_costs_little_and_half_precision_is_finite(method: Method) -> None:
    scores = torch.tensor([[60.0, 0.0, -1.0]], dtype=torch.bfloat16)
    assert method.loss(scores, torch.tensor([0]), 0.0).item() < 1e-6
    assert method.loss(scores, torch.tensor([2]), 0.0).isfinite().all()
    assert method.loss(scores[:0], torch.tensor([], dtype=torch.long), 0.0).shape == (0,)


def problem() -> tuple[Tensor, Tensor, Tensor]:
    """Return X (12, 4), Y (12, 3) and S (3, 5)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    y = 2 * F.one_hot(torch.arange(12) % 3).double() - 1
    return x, y, torch.randn(3, 5, generator=generator, dtype=torch.float64)


def objective(v: Tensor, x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    gamma, lambda_ = METHOD.gamma, METHOD.lambda_
    return (
        (x @ v @ s.T - y).square().sum()
        + gamma * (v @ s.T).square().sum()
        + lambda_ * (x @ v).square().sum()
        + gamma * lambda_ * v.square().sum()
    )


def test_the_closed_form_is_the_minimum_of_its_objective() -> None:
    x, y, s = problem()
    v = solve(x.T @ x, x.T @ y, s, METHOD).requires_grad_()
    (gradient,) = torch.autograd.grad(objective(v, x, y, s), v)
    assert gradient.abs().max() < 1e-10


def test_the_closed_form_is_the_solution_of_the_vectorised_equations() -> None:
    # vec(A V B) = (Bᵀ ⊗ A) vec V with vec over columns
    x, y, s = problem()
    a, b, eye = x.T @ x, s.T @ s, torch.eye
    gamma, lambda_ = METHOD.gamma, METHOD.lambda_
    system = (
        torch.kron(b, a)
        + gamma * torch.kron(b, eye(4).double())
        + lambda_ * torch.kron(eye(5).double(), a)
        + gamma * lambda_ * eye(20).double()
    )
    right = (x.T @ y @ s).T.reshape(-1)
    expected = torch.linalg.solve(system, right).reshape(5, 4).T
    torch.testing.assert_close(solve(x.T @ x, x.T @ y, s, METHOD), expected)


def test_without_strength_a_singular_problem_still_has_a_finite_solution() -> None:
    x, y, s = problem()
    x[:, 3] = 0  # a feature that never fires; and 5 attributes of 3 classes
    v = solve(x.T @ x, x.T @ y, s, ESZSL(gamma=0.0, lambda_=0.0))
    assert v.isfinite().all()
    # Where S has independent rows, least squares on features is what is left.
    expected = torch.linalg.lstsq(x[:, :3], y).solution
    torch.testing.assert_close((v @ s.T)[:3], expected)


def make_head() -> ClosedForm:
    return ClosedForm(6, 4, *CLASSES, attributes=TABLE)


def test_it_classifies_in_training_and_scores_by_the_solution_in_evaluation() -> None:
    head, x = make_head(), torch.randn(3, 6)
    torch.testing.assert_close(head.train()(x), head.classifier(x))
    assert (head.eval()(x) == 0).all()
    head.solution.normal_()
    vectors = F.normalize(class_vectors(TABLE, CLASSES, "x").values)
    torch.testing.assert_close(head(x), x @ head.solution @ vectors.T)
    assert {"solution", "class_vectors"} <= head.state_dict().keys()


def test_every_parameter_trains() -> None:
    head = make_head().train()
    head(torch.randn(1, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_the_solution_is_that_of_all_training_rows_at_once() -> None:
    torch.manual_seed(0)
    encoder = ToyEncoder()
    model = hard_model({"x": encoder}, Single({"x": 6}), {"largest": make_head()}).eval()
    stream = toy_stream(batch=7)
    term = SolveEszsl("largest", "dataset", "largest", SPLIT, CLOSED_FORM)
    term.check(model)
    term.before_evaluation(model, {"dataset": stream})
    rows = stream.rows.fetch(torch.arange(len(stream.rows)))
    x = encoder(rows.inputs["x"]).double().detach()
    y = torch.where(F.one_hot(rows.targets["largest"], 4) == 1, 1.0, -0.4).double()
    s = F.normalize(class_vectors(TABLE, CLASSES, "x").values).double()
    left = torch.linalg.inv(x.T @ x + 0.5 * torch.eye(6))
    right = torch.linalg.inv(s.T @ s + 0.2 * torch.eye(3))
    head = model.heads["largest"]
    assert isinstance(head, ClosedForm)
    torch.testing.assert_close(
        head.solution.double(), left @ x.T @ y @ s @ right, rtol=1e-4, atol=1e-5
    )


def test_another_head_is_refused() -> None:
    model = hard_model({"x": ToyEncoder()}, Single({"x": 6}), {"largest": Linear(6, 4)})
    with pytest.raises(UserError, match=r"zero_shot\.head: zero_shot=eszsl solves for a head"):
        SolveEszsl("largest", "dataset", "largest", SPLIT, CLOSED_FORM).check(model)
