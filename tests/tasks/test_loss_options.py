"""Options of losses, against closed forms."""

from __future__ import annotations

import pytest
import torch
from scipy.special import huber
from torch.nn import functional as F

from jlrun.config.build import build
from jlrun.config.slots import TASK
from jlrun.errors import UserError
from jlrun.tasks import Binary, Multiclass, Regression
from jlrun.tasks.loss_options import ClassLoss, NumberLoss, balanced_weights, given_weights

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [-1.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 2, 2])


def test_balanced_weights_have_a_mean_of_1_over_rows() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [3] * 1)
    weights = balanced_weights(labels, 4)
    assert weights == pytest.approx((9 / 18, 9 / 6, 0.0, 9 / 3))
    assert torch.tensor(weights)[labels].mean().item() == pytest.approx(1)


def test_given_weights_are_by_name() -> None:
    assert given_weights({"b": 3.0}, ("a", "b"), "here") == (1.0, 3.0)
    with pytest.raises(UserError, match=r"there is no class 'c'\. Choose from: a, b"):
        given_weights({"c": 3.0}, ("a", "b"), "here")
    with pytest.raises(UserError, match="all are 0"):
        given_weights({"a": 0.0, "b": 0.0}, ("a", "b"), "here")


def test_class_weights_multiply_the_loss_of_a_row() -> None:
    task = Multiclass().in_units(0.0, 1.0, 1.0, 2.0, 4.0)
    plain = F.cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(
        task.loss(LOGITS, LABELS), plain * torch.tensor([1.0, 2.0, 4.0, 4.0])
    )
    two = Binary().in_units(0.0, 1.0, 1.0, 5.0)
    z, y = torch.tensor([[1.0], [1.0]]), torch.tensor([0, 1])
    bce = F.binary_cross_entropy_with_logits(z[:, 0], y.float(), reduction="none")
    torch.testing.assert_close(two.loss(z, y), bce * torch.tensor([1.0, 5.0]))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_that_of_the_paper(gamma: float) -> None:
    """Eq. (4): −(1 − p)^γ ln p."""
    p = LOGITS.softmax(dim=1).gather(1, LABELS[:, None])[:, 0]
    found = Multiclass(loss=ClassLoss(focal=gamma)).loss(LOGITS, LABELS)
    torch.testing.assert_close(found, -((1 - p) ** gamma) * p.log())
    z, y = torch.tensor([[1.5], [1.5]]), torch.tensor([0, 1])
    p = torch.tensor([1 - z[0, 0].sigmoid(), z[0, 0].sigmoid()])
    found = Binary(loss=ClassLoss(focal=gamma)).loss(z, y)
    torch.testing.assert_close(found, -((1 - p) ** gamma) * p.log())


def test_focal_loss_of_a_certain_row_has_a_finite_gradient() -> None:
    z = torch.tensor([[200.0, -200.0]], requires_grad=True)
    Multiclass(loss=ClassLoss(focal=0.5)).loss(z, torch.tensor([0])).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_labels_of_a_binary_task_are_smoothed() -> None:
    z, y = torch.tensor([[0.7]]), torch.tensor([1])
    found = Binary(loss=ClassLoss(label_smoothing=0.2)).loss(z, y)
    p = z.sigmoid()[0]
    torch.testing.assert_close(found, -(0.9 * p.log() + 0.1 * (1 - p).log()))


def test_huber_is_scipys() -> None:
    errors = torch.tensor([-3.0, -0.5, 0.0, 1.0, 4.0])
    found = Regression(loss=NumberLoss("huber", delta=1.5)).loss(errors[:, None], torch.zeros(5))
    torch.testing.assert_close(found, torch.from_numpy(huber(1.5, errors.numpy())))


def test_the_best_prediction_of_the_pinball_loss_is_the_quantile() -> None:
    y = torch.arange(101.0)
    task = Regression(loss=NumberLoss("quantile", quantile=0.9))
    losses = [task.loss(torch.full((101, 1), float(q)), y).mean() for q in range(101)]
    assert min(range(101), key=lambda q: losses[q]) == 90


def test_nodes_of_configs_are_read() -> None:
    node = {"_target_": "jlrun.tasks.Binary", "loss": {"class_weights": "auto", "focal": 2.0}}
    assert build(node, TASK).options == ClassLoss("auto", 2.0)
    node = {"_target_": "jlrun.tasks.Regression", "loss": {"kind": "huber", "delta": 2.0}}
    assert build(node, TASK).options == NumberLoss("huber", 2.0)
