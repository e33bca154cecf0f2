"""The main task as it is learned and as it is scored."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jlrun.strategies.zero_shot import (
    ALE,
    CLIP,
    ESZSL,
    AllClasses,
    ClassSplit,
    DeViSE,
    Scored,
    SeenClasses,
)
from jlrun.strategies.zero_shot.methods import Method

SPLIT = ClassSplit(tuple("abcde"), seen=(0, 2, 4), unseen=(1, 3))
TARGET = torch.tensor([4, 0, 2, 2])


@pytest.mark.parametrize("method", [CLIP(), DeViSE(), ALE(), ESZSL()])
def test_logits_of_unseen_classes_play_no_part_in_the_loss(method: Method) -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 5, requires_grad=True)
    task = SeenClasses(SPLIT, method)
    loss = task.loss(logits, TARGET)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert (gradient[:, [1, 3]] == 0).all()
    assert gradient[:, [0, 2, 4]].abs().sum() > 0
    changed = logits.detach().clone()
    changed[:, [1, 3]] += 100
    torch.testing.assert_close(task.loss(changed, TARGET), loss)


def test_the_loss_is_that_of_the_seen_columns() -> None:
    logits = torch.randn(4, 5)
    expected = F.cross_entropy(
        logits[:, [0, 2, 4]], torch.tensor([2, 0, 1, 1]), reduction="none", label_smoothing=0.1
    )
    torch.testing.assert_close(SeenClasses(SPLIT, CLIP(), 0.1).loss(logits, TARGET), expected)


def test_validation_is_among_seen_classes() -> None:
    task = SeenClasses(SPLIT, CLIP())
    logits = torch.tensor([[0.0, 9.0, 1.0, 9.0, 2.0], [3.0, 9.0, 1.0, 9.0, 2.0]])
    probabilities = task.probabilities(logits)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))
    assert (probabilities[:, [1, 3]] == 0).all()
    metric = task.metrics(SPLIT.names)["classes"]
    metric.update(probabilities, torch.tensor([4, 2]))
    # Right for e, wrong for c; a, which was guessed, has no row.
    assert metric.compute()["mean_class_accuracy"] == pytest.approx(1 / 2)
    log_odds = task.log_odds(logits)
    assert log_odds is not None
    torch.testing.assert_close(log_odds.sigmoid(), probabilities)


def test_scores_are_those_of_the_protocol() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(40, 5), torch.randint(5, (40,))
    task = AllClasses(SPLIT)
    metric = task.metrics(SPLIT.names)["zero_shot"]
    for part in range(0, 40, 7):
        metric.update(task.probabilities(logits[part : part + 7]), target[part : part + 7])
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == pytest.approx(Scored(logits, target, SPLIT).summary())
    assert task.primary in found
