"""Every option of ``conf/heads`` passes the same checks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.config.build import build, takes_class_names
from jlrun.config.slots import HEAD
from tests.options import option_node

CONF = Path(__file__).parents[3] / "conf" / "heads"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")

DENSE = {"aspp"}  # on maps

each = pytest.mark.parametrize("option", OPTIONS)


def make(option: str, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    node = option_node("heads", option)
    names = ("red car", "blue car", "blue bus")[: max(2, outputs)]
    return build(node, HEAD, 5, outputs, *(names if takes_class_names(node) else ()))


def features_for(option: str, count: int) -> Tensor:
    return torch.randn(count, 5, 3, 4) if option in DENSE else torch.randn(count, 5)


@each
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("count", [1, 4])
def test_shapes_and_gradients(option: str, outputs: int, count: int) -> None:
    head = make(option, outputs)
    features = features_for(option, count)
    logits = head(features)
    assert logits.shape == (count, outputs, *features.shape[2:])
    logits.square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each
def test_features_of_zeros_are_finite(option: str) -> None:
    features = torch.zeros_like(features_for(option, 2)).requires_grad_()
    logits = make(option)(features)
    assert logits.isfinite().all()
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in DENSE])
def test_first_layer_reads_the_features(option: str) -> None:
    # terms on the heads' weights rely on it
    first = next(p for p in make(option).parameters() if p.dim() == 2)
    assert first.shape[1] == 5


@each
def test_float64_and_state_round_trip(option: str) -> None:
    head, x = make(option).eval(), features_for(option, 2)
    expected = head(x)
    other = make(option).eval()
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
    double = other.double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected)
