"""The losses of pairs: against plain loops, another library, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.terms.cross_modal.losses import sigmoid_contrastive, symmetric_contrastive

ITSELF = torch.eye(6, dtype=torch.bool)
CLASSES = torch.tensor([0, 1, 0, 2, 2, 2])
SAME = CLASSES[:, None] == CLASSES


def sides(count: int = 6, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, count, width, generator=generator, dtype=torch.float64)
    return F.normalize(drawn[0], dim=1), F.normalize(drawn[1], dim=1)


def looped(x: Tensor, y: Tensor, positive: Tensor, scale: float) -> float:
    """Both directions, a row at a time."""
    total = 0.0
    for a, b, right in ((x, y, positive), (y, x, positive.T)):
        for i in range(len(a)):
            logits = [scale * float(a[i] @ b[j]) for j in range(len(b))]
            normaliser = math.log(sum(math.exp(z) for z in logits))
            found = [normaliser - logits[j] for j in range(len(b)) if right[i, j]]
            total += sum(found) / len(found) / len(a)
    return total / 2


@pytest.mark.parametrize("positive", [ITSELF, SAME])
def test_clip_is_the_plain_loop(positive: Tensor) -> None:
    x, y = sides()
    value = symmetric_contrastive(x, y, positive, torch.tensor(14.3, dtype=torch.float64))
    assert value.item() == pytest.approx(looped(x, y, positive, 14.3), abs=1e-10)


def test_clip_is_that_of_transformers() -> None:
    clip = pytest.importorskip("transformers.models.clip.modeling_clip")
    x, y = sides()
    value = symmetric_contrastive(x, y, ITSELF, torch.tensor(1 / 0.07))
    expected = clip.image_text_contrastive_loss(y @ x.T / 0.07)
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("positive", [ITSELF, SAME])
def test_siglip_is_the_plain_loop(positive: Tensor) -> None:
    x, y = sides()
    scale, bias = torch.tensor([10.0, -10.0], dtype=torch.float64)
    expected = 0.0
    for i in range(6):
        for j in range(6):
            sign = 1 if positive[i, j] else -1
            z = sign * (10 * float(x[i] @ y[j]) - 10)
            expected += math.log1p(math.exp(-z)) / 6
    value = sigmoid_contrastive(x, y, positive, scale, bias)
    assert value.item() == pytest.approx(expected, abs=1e-10)


def test_siglip_is_that_of_big_vision() -> None:
    """As its authors write it: ``-mean(sum(log_sigmoid((2 I − 1) logits)))``."""
    x, y = sides()
    logits = 10 * x @ y.T - 10
    signs = 2 * torch.eye(6) - 1
    expected = -F.logsigmoid(signs * logits).sum(dim=-1).mean()
    found = sigmoid_contrastive(x, y, ITSELF, torch.tensor(10.0), torch.tensor(-10.0))
    torch.testing.assert_close(found, expected)


def test_rows_of_a_class_do_not_push_each_other_away() -> None:
    """With all rows alike, the same vectors everywhere are the best that there is."""
    x = F.normalize(torch.ones(4, 3), dim=1)
    everywhere = torch.ones(4, 4, dtype=torch.bool)
    x.requires_grad_()
    value = symmetric_contrastive(x, x, everywhere, torch.tensor(5.0))
    (grad,) = torch.autograd.grad(value, x)
    assert value.item() == pytest.approx(math.log(4))
    assert grad.abs().max().item() < 1e-6


@pytest.mark.parametrize("positive", [ITSELF, SAME])
def test_gradients_are_those_of_finite_differences(positive: Tensor) -> None:
    x, y = (side.requires_grad_() for side in sides())
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (3.0, -1.0))
    assert torch.autograd.gradcheck(
        lambda a, b, t: symmetric_contrastive(a, b, positive, t), (x, y, scale)
    )
    assert torch.autograd.gradcheck(
        lambda a, b, t, c: sigmoid_contrastive(a, b, positive, t, c), (x, y, scale, bias)
    )
