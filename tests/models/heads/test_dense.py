"""The head of dense tasks, and heads that are given features of the wrong form."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from jlrun.errors import UserError
from jlrun.models.heads import ASPP, MLP, Cosine, Linear


@torch.no_grad()
def test_it_is_the_head_of_deeplabv3() -> None:
    torch.manual_seed(0)
    library, head = DeepLabHead(6, 4, (12, 24, 36)).eval(), ASPP(6, 4).eval()
    named = zip(library.state_dict().values(), head.state_dict(), strict=True)
    head.load_state_dict({name: tensor for tensor, name in named})
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(head(x), library(x))


@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_a_single_image_can_train(size: tuple[int, int]) -> None:
    head = ASPP(5, 2, channels=8).train()
    head(torch.randn(1, 5, *size)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert all(m.training for m in head.modules())


def test_vectors_are_told() -> None:
    with pytest.raises(UserError, match=r"a vector of 5 for each row.*dilated_resnet"):
        ASPP(5, 2, channels=8)(torch.zeros(2, 5))


@pytest.mark.parametrize("head", [Linear(5, 2), MLP(5, 2), Cosine(5, 2)])
def test_maps_are_told(head: nn.Module) -> None:
    with pytest.raises(UserError, match=r"yields maps of shape \(5, 3, 4\).*heads=aspp"):
        head(torch.zeros(2, 5, 3, 4))
