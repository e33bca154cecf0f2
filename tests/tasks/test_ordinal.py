"""Ordinal classification."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from jlrun.tasks import Ordinal

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
