"""Every option of ``conf/heads`` passes the same checks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from jlrun.config.build import build
from jlrun.config.compose import compose

CONF = Path(__file__).parents[2] / "conf" / "heads"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")

each = pytest.mark.parametrize("option", OPTIONS)


def make(option: str, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return build(compose(["mode=multitask", f"heads={option}"]).config["heads"], 5, outputs)


@each
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("count", [1, 4])
def test_shapes_and_gradients(option: str, outputs: int, count: int) -> None:
    head = make(option, outputs)
    logits = head(torch.randn(count, 5))
    assert logits.shape == (count, outputs)
    logits.square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each
def test_features_of_zeros_are_finite(option: str) -> None:
    features = torch.zeros(2, 5, requires_grad=True)
    logits = make(option)(features)
    assert logits.isfinite().all()
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    assert gradient.isfinite().all()


@each
def test_first_layer_reads_the_features(option: str) -> None:
    # terms on the heads' weights rely on it
    first = next(p for p in make(option).parameters() if p.dim() == 2)
    assert first.shape[1] == 5


@each
def test_float64_and_state_round_trip(option: str) -> None:
    head, x = make(option), torch.randn(2, 5)
    expected = head(x)
    other = make(option)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
    double = other.double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected)
