"""Every family of torchvision's models, divided into maps and what pools them, stays the model."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import Torchvision

SPEC = ImageSpec(3, 40, 64, (0.5,) * 3, (0.25,) * 3)
# name -> tokens and their width; 1 token where the model does not divide
FAMILIES = {
    "resnet18": (40, 512),  # of its small stem: 5 by 8
    "mobilenet_v2": (4, 1280),
    "mobilenet_v3_small": (4, 576),
    "densenet121": (2, 1024),
    "efficientnet_b0": (4, 1280),
    "regnet_y_400mf": (4, 440),
    "shufflenet_v2_x0_5": (4, 1024),
    "mnasnet0_5": (4, 1280),
    "squeezenet1_1": (1, 512),
}
SLOW = {
    "alexnet": (2, 256),
    "vgg11": (2, 512),
    "convnext_tiny": (2, 768),
    "swin_t": (4, 768),
    "vit_b_32": (5, 768),
    "googlenet": (1, 1024),
}


def check(name: str, tokens: int, width: int) -> None:
    torch.manual_seed(0)
    encoder = Torchvision(SPEC, name).eval()
    x = torch.randn(2, 3, 40, 64)
    with torch.no_grad():
        found = encoder.encode_tokens(x)
        assert found.values.shape[0] == 2
        assert found.values.shape[2] == encoder.token_features == width
        assert found.values.shape[1] == tokens
        torch.testing.assert_close(encoder.pool(found), encoder(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_small(name: str) -> None:
    check(name, *FAMILIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_large(name: str) -> None:
    check(name, *SLOW[name])
