from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import CNN, MLP, LeNet
from jlrun.models.encoders.cnn import average_down


def spec(channels: int, side: int) -> ImageSpec:
    return ImageSpec(channels, side, side, (0.5,) * channels, (0.5,) * channels)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_cnn_has_the_textbook_number_of_parameters() -> None:
    # by hand, for 28×28: 3·3·1·64+64, 3·3·64·128+128, 7·7·128·512+512
    assert count(CNN(spec(1, 28))) == 640 + 73_856 + 3_211_776


def test_cnn_is_conv_relu_pool_twice_then_hidden() -> None:
    torch.manual_seed(0)
    encoder, x = CNN(spec(3, 8)), torch.randn(2, 3, 8, 8)
    first, second = (m for m in encoder.modules() if isinstance(m, nn.Conv2d))
    (hidden,) = (m for m in encoder.modules() if isinstance(m, nn.Linear))
    maps = F.max_pool2d(F.conv2d(x, first.weight, first.bias, padding=1).relu(), 2)
    maps = F.max_pool2d(F.conv2d(maps, second.weight, second.bias, padding=1).relu(), 2)
    expected = F.linear(maps.flatten(1), hidden.weight, hidden.bias).relu()
    torch.testing.assert_close(encoder(x), expected)


def test_cnn_does_not_grow_with_large_images() -> None:
    # 32×32 is the largest whose maps are at most 8×8 after two poolings
    assert count(CNN(spec(1, 32))) == count(CNN(spec(1, 224))) == count(CNN(spec(1, 512)))


def test_cnn_takes_its_options() -> None:
    encoder = CNN(spec(1, 8), channels=[4, 5, 6], hidden=7, dropout=0.5)
    assert encoder.out_features == 7
    widths = [m.out_channels for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [4, 5, 6]
    x = torch.randn(1, 1, 8, 8)
    assert not torch.equal(encoder(x), encoder(x))


def test_average_down_averages_blocks() -> None:
    x = torch.arange(12.0).view(1, 1, 2, 6)
    module, size = average_down((2, 6), 3)
    assert size == (2, 3)
    torch.testing.assert_close(module(x), F.adaptive_avg_pool2d(x, (2, 3)))


@pytest.mark.parametrize("side", [9, 11, 13, 56, 57])
def test_average_down_tells_the_size_it_leaves(side: int) -> None:
    module, size = average_down((side, 2 * side), 8)
    assert module(torch.ones(1, 1, side, 2 * side)).shape[2:] == size
    assert max(size) <= 8
    # the last block may be smaller: its mean is over what there is
    torch.testing.assert_close(module(torch.ones(1, 1, side, side)).unique(), torch.ones(1))


def test_lenet_on_28_by_28_has_the_published_layers() -> None:
    # by hand: 5·5·1·10+10, 5·5·10·20+20 and the 320→50 layer of Sener & Koltun (2018)
    encoder = LeNet(spec(1, 28))
    assert count(encoder) == 260 + 5_020 + 320 * 50 + 50
    assert encoder.out_features == 50


def test_mlp_without_layers_is_the_pixels() -> None:
    x = torch.randn(2, 3, 4, 4)
    encoder = MLP(spec(3, 4), hidden=[])
    assert encoder.out_features == 48
    torch.testing.assert_close(encoder(x), x.flatten(1))
