"""Ordinal classification."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, mean_absolute_error
from torch.nn import functional as F

from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.tasks import Ordinal, TaskSpec

GRADES = ("bad", "fair", "good", "great")


def test_there_is_a_question_between_neighbours() -> None:
    """Is y above 0, above 1, above 2? Of grade 2: yes, yes, no."""
    logits = torch.tensor([[1.0, 0.5, -2.0]])
    wanted = F.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0, 1.0, 0.0]]))
    task = Ordinal()
    assert task.num_outputs(GRADES) == 3
    torch.testing.assert_close(task.loss(logits, torch.tensor([2])), wanted[None])


def test_probabilities_are_those_of_classes() -> None:
    logits = torch.logit(torch.tensor([[0.9, 0.6, 0.2], [0.5, 0.8, 0.1]]))
    found = Ordinal().probabilities(logits)
    wanted = torch.tensor([[0.1, 0.3, 0.4, 0.2], [0.5, 0.0, 0.4, 0.1]])
    torch.testing.assert_close(found, wanted)
    assert Ordinal().decide(found).tolist() == [2, 0]


def test_a_far_miss_costs_more_than_a_near_one() -> None:
    sure_of_great = torch.full((4, 3), 3.0)
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


def test_predictions_that_are_no_numbers_have_no_scores() -> None:
    scorer = Scorer(TaskSpec("grade", Ordinal(), GRADES))
    scorer.update(torch.tensor([0, 1]), Prediction.of(Ordinal(), torch.full((2, 3), math.nan)))
    assert all(math.isnan(value) for value in scorer.compute().values())
