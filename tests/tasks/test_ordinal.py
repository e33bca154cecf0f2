"""Ordinal classification."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import accuracy_score, cohen_kappa_score, mean_absolute_error
from torch.nn import functional as F

from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.tasks import Ordinal, TaskSpec
from jlrun.tasks.ordinal import ordinal_logits

GRADES = ("bad", "fair", "good", "great")


def test_probabilities_are_differences_of_cumulative_ones() -> None:
    """z = mean ± …, with gaps log (1 + e^δ): log 2 of δ = 0, and 2 of log (e² − 1)."""
    gaps = torch.tensor([math.log(2), 2.0]).double()
    outputs = torch.cat([torch.tensor([0.3]).double(), gaps.expm1().log()])
    first = 0.3 + (2 * math.log(2) + 2.0) / 3  # so that the mean is 0.3
    z = torch.tensor([first, first - math.log(2), first - math.log(2) - 2.0]).double()
    assert float(z.mean()) == pytest.approx(0.3)
    above = torch.cat([torch.ones(1), z.sigmoid(), torch.zeros(1)])
    task = Ordinal()
    assert task.num_outputs(GRADES) == 3
    found = task.probabilities(outputs[None])
    torch.testing.assert_close(found[0], above[:-1] - above[1:])
    answers = torch.tensor([1.0, 1.0, 0.0]).double()  # is grade 2 above 0, above 1, above 2?
    wanted = F.binary_cross_entropy_with_logits(z, answers)
    torch.testing.assert_close(task.loss(outputs[None], torch.tensor([2]))[0], wanted)
    torch.testing.assert_close(ordinal_logits(found)[0], outputs)


def test_the_predicted_class_is_the_median() -> None:
    p = torch.tensor([[0.1, 0.3, 0.4, 0.2], [0.5, 0.0, 0.4, 0.1], [0.4, 0.0, 0.1, 0.5]])
    assert Ordinal().decide(p).tolist() == [2, 0, 2]


@pytest.mark.parametrize("delta", [-80.0, -20.0, 0.0, 80.0])
def test_no_class_has_a_probability_of_0(delta: float) -> None:
    """In float32, where sigmoids of close and of large numbers are equal."""
    logits = torch.tensor([[0.0, delta, delta], [30.0, delta, delta]]).requires_grad_()
    for grade in range(4):
        loss = Ordinal().loss(logits, torch.full((2,), grade))
        assert loss.isfinite().all()
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert gradient.isfinite().all()
    exact = Ordinal().probabilities(logits.detach().double())
    assert (exact > 0).all()
    torch.testing.assert_close(exact.sum(dim=1), torch.ones(2).double())


def test_the_fit_is_that_of_proportional_odds() -> None:
    """With gaps that all rows share: of McCullagh's model, fitted in its own terms by SciPy.

    By the same loss it is the same. Maximum likelihood estimates the same numbers, which
    2,000 rows leave uncertain by 0.04 and more.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    y = np.digitize(x @ [1.0, -0.5] + rng.logistic(size=2000), [-1.0, 0.2, 0.5])

    def ends(values: np.ndarray) -> np.ndarray:
        return np.cumsum([values[2], *np.exp(values[3:])])

    def questions(values: np.ndarray) -> float:
        z = (x @ values[:2])[:, None] - ends(values)
        return np.logaddexp(0, np.where(y[:, None] > np.arange(3), -z, z)).mean()

    def class_probabilities(values: np.ndarray) -> np.ndarray:
        below = expit(ends(values) - (x @ values[:2])[:, None])
        return np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)

    def log_loss(values: np.ndarray) -> float:
        return -np.log(class_probabilities(values)[np.arange(len(y)), y]).mean()

    same, likely = (minimize(f, np.zeros(5)).x for f in (questions, log_loss))
    inputs, target = torch.from_numpy(x), torch.from_numpy(y)
    free = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def outputs() -> torch.Tensor:
        return F.pad((inputs @ free[:2])[:, None], (0, 2)) + free[2:]

    def closure() -> float:
        optimizer.zero_grad()
        loss = Ordinal().loss(outputs(), target).mean()
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    found = Ordinal().probabilities(outputs().detach())
    assert found.numpy() == pytest.approx(class_probabilities(same), abs=1e-4)
    assert free.tolist()[:2] == pytest.approx(likely[:2], abs=0.04)
    assert log_loss(same) == pytest.approx(log_loss(likely), abs=5e-4)
    frequencies = np.bincount(y) / len(y)
    assert log_loss(same) < -(frequencies * np.log(frequencies)).sum() - 0.1


def test_a_far_miss_costs_more_than_a_near_one() -> None:
    sure_of_great = torch.tensor([[3.0, 0.0, 0.0]]).expand(4, 3)
    losses = Ordinal().loss(sure_of_great, torch.arange(4))
    assert (losses.diff() < 0).all()


def test_labels_outside_the_classes_are_told() -> None:
    assert "outside 0..3" in Ordinal().invalid(torch.tensor([0, 4]), GRADES)
    assert Ordinal().invalid(torch.tensor([0, 3]), GRADES) == ""


def test_scores_are_those_of_the_predicted_class() -> None:
    """The median class, which is often not the most probable one."""
    generator = torch.Generator().manual_seed(0)
    task, spec = Ordinal(), TaskSpec("grade", Ordinal(), GRADES)
    prediction = Prediction.of(task, torch.randn(200, 3, generator=generator))
    target = torch.randint(4, (200,), generator=generator)
    decided = task.decide(prediction.probabilities)
    assert not torch.equal(decided, prediction.probabilities.argmax(dim=1))
    scorer = Scorer(spec)
    scorer.update(target, prediction)
    found = scorer.compute()
    assert found["accuracy"] == pytest.approx(accuracy_score(target, decided))
    assert found["mae"] == pytest.approx(mean_absolute_error(target, decided))
    kappa = cohen_kappa_score(target, decided, weights="quadratic")
    assert found["quadratic_kappa"] == pytest.approx(kappa)


def test_predictions_of_one_class_agree_exactly_as_chance_does() -> None:
    scorer = Scorer(TaskSpec("grade", Ordinal(), GRADES))
    target = torch.arange(2349) ** 2 % 7 % 4
    scorer.update(target, Prediction.of(Ordinal(), torch.tensor([[9.0, 0, 0]] * len(target))))
    assert scorer.compute()["quadratic_kappa"] == 0.0


def test_predictions_that_are_no_numbers_have_no_scores() -> None:
    scorer = Scorer(TaskSpec("grade", Ordinal(), GRADES))
    scorer.update(torch.tensor([0, 1]), Prediction.of(Ordinal(), torch.full((2, 3), math.nan)))
    assert all(math.isnan(value) for value in scorer.compute().values())
