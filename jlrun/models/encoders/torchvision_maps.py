"""Division of torchvision's models into a body that yields maps and a tail that pools them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Families whose `features` yield the maps that `avgpool` and `classifier` read.
_PLAIN = ("AlexNet", "VGG", "EfficientNet", "MobileNetV3", "ConvNeXt")


@dataclass(frozen=True)
class Halves:
    """Model divided into two modules, run one after the other.

    Attributes:
        body: images -> maps ``(B, C, h, w)``, or tokens ``(B, T, C)`` of a vision transformer.
        tail: of those -> features.
    """

    body: Callable[[Tensor], Tensor]
    tail: Callable[[Tensor], Tensor]


def halves(network: nn.Module) -> Halves | None:
    """Return a model without classifier in two parts; None if it can't be divided."""
    net: Any = network
    match type(network).__name__:
        case "ResNet":
            stem = (net.conv1, net.bn1, net.relu, net.maxpool)
            maps = (*stem, net.layer1, net.layer2, net.layer3, net.layer4)
            return Halves(_chain(*maps), _chain(net.avgpool, nn.Flatten(), net.fc))
        case "ConvNeXt":  # its classifier normalises maps, and flattens them itself
            return Halves(net.features, _chain(net.avgpool, net.classifier))
        case family if family in _PLAIN:
            return Halves(net.features, _chain(net.avgpool, nn.Flatten(), net.classifier))
        case "MobileNetV2":
            return Halves(net.features, _chain(_average, net.classifier))
        case "DenseNet":
            return Halves(_chain(net.features, F.relu), _chain(_average, net.classifier))
        case "RegNet":
            tail = _chain(net.avgpool, nn.Flatten(), net.fc)
            return Halves(_chain(net.stem, net.trunk_output), tail)
        case "ShuffleNetV2":
            maps = (net.conv1, net.maxpool, net.stage2, net.stage3, net.stage4, net.conv5)
            return Halves(_chain(*maps), _chain(_average, net.fc))
        case "SwinTransformer":
            maps = (net.features, net.norm, net.permute)
            return Halves(_chain(*maps), _chain(net.avgpool, net.flatten, net.head))
        case "VisionTransformer":
            return Halves(lambda x: _vit_tokens(net, x), lambda tokens: net.heads(tokens[:, 0]))
        case "Sequential" if hasattr(network, "layers"):  # MNASNet, as `build_features` returns it
            return Halves(net.layers, _chain(net.pool, net.flatten, net.classifier))
    return None


def map_shape(network: nn.Module, size: tuple[int, int]) -> tuple[int, ...] | None:
    """Return the shape of a row of the body's output for images of ``size``; None without one.

    Nothing is computed: only shapes pass through a copy on the meta device.
    """
    copy = deepcopy(network).to("meta").eval()
    divided = halves(copy)
    if divided is None:
        return None
    with torch.no_grad():
        return tuple(divided.body(torch.empty(1, 3, *size, device="meta")).shape[1:])


def _chain(*parts: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return run


def _average(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3))


def _vit_tokens(net: Any, x: Tensor) -> Tensor:
    patches = net._process_input(x)
    first = net.class_token.expand(len(x), -1, -1)
    return net.encoder(torch.cat([first, patches], dim=1))
