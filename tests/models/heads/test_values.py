from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from jlrun.models.heads import MLP, Cosine, Linear


def test_linear_is_affine() -> None:
    head, x = Linear(4, 3), torch.randn(2, 4)
    torch.testing.assert_close(head(x), x @ head.weight.T + head.bias)
    assert Linear(4, 3, bias=False).bias is None


def test_mlp_is_two_layers_with_relu() -> None:
    head, x = MLP(4, 3, hidden=7), torch.randn(2, 4)
    hidden = (x @ head.hidden.weight.T + head.hidden.bias).clamp(min=0)
    torch.testing.assert_close(head(x), hidden @ head.output.weight.T + head.output.bias)


def test_cosine_by_hand() -> None:
    head = Cosine(2, 3, scale=10.0)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, -3.0], [5.0, 5.0]]))
    # the angles of (1, 0) to the rows are 0°, 90° and 45°
    expected = torch.tensor([[10.0, 0.0, 10 / math.sqrt(2)]])
    torch.testing.assert_close(head(torch.tensor([[7.0, 0.0]])), expected)


def test_cosine_ignores_norms() -> None:
    head, x = Cosine(4, 3), torch.randn(2, 4)
    before = head(x)
    with torch.no_grad():
        head.weight.mul_(torch.tensor([[0.1], [1.0], [30.0]]))
    torch.testing.assert_close(head(100 * x), before)


def test_scale_of_cosine_is_learned_or_fixed() -> None:
    x, y = torch.randn(8, 4), torch.randint(3, (8,))
    for learned in (True, False):
        head = Cosine(4, 3, learn_scale=learned)
        F.cross_entropy(head(x), y).backward()
        assert (head.scale.grad is not None) == learned
        assert "scale" in head.state_dict()
