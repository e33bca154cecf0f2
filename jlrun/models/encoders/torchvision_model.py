"""Encoder: any classification model of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.architectures import (
    build_features,
    check_name,
    choose_stem,
    resnet_parts,
    working_size,
)
from jlrun.models.encoders.base import Encoder, Stage, Tokens, maps_of_tokens, tokens_of_maps
from jlrun.models.encoders.pretrained import load_pretrained, published_moments, renormalise
from jlrun.models.module_state import running_statistics
from jlrun.models.weight_files import LoadReport
from jlrun.ranges import PositiveInt


class Torchvision(Encoder):
    """Torchvision model without its classifier.

    Gray images are repeated to three channels; images of another number of channels pass a learned
    1×1 convolution. Images smaller than the model can take are enlarged, and for vision
    transformers enlarged to a square of whole patches. With pretrained weights, pixels are
    normalised as in pretraining, independent of the data set's own statistics.

    A batch of one is normalised by the running statistics of BatchNorm: it has none of its own
    where the maps are a single pixel.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        name: of the model, for example ``resnet18``.
        weights: null, a local file (``.safetensors``, ``.pth``, ``.pt``, ``.bin``) of torchvision,
            timm or Hugging Face, ``DEFAULT`` or another name of published weights, which are
            downloaded once.
        stem: of ResNets: ``small`` is a 3×3 convolution of stride 1 without pooling; ``auto`` is
            that for images up to 64 pixels without pretrained weights, else ``imagenet``.
        resize: side in pixels that images are resized to; null keeps their size.

    Attributes:
        load_report: the report on loading ``weights``; None without them.

    Raises:
        UserError: if there is no such model, or its weights can't be had or don't fit.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        name: str,
        weights: str | None = None,
        stem: Literal["auto", "imagenet", "small"] = "auto",
        resize: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        check_name(name)
        wanted = (spec.height, spec.width) if resize is None else (resize, resize)
        self.size = working_size(name, wanted)
        chosen = choose_stem(name, self.size, stem, pretrained=weights is not None)
        self.network, self.out_features = build_features(name, self.size, chosen)
        self.adapt = nn.Identity() if spec.channels in (1, 3) else nn.Conv2d(spec.channels, 3, 1)
        scale, shift = torch.ones(3), torch.zeros(3)
        self.load_report: LoadReport | None = None
        if weights is not None:
            self.load_report = load_pretrained(self.network, name, weights)
            scale, shift = renormalise(spec, *published_moments(name))
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self._run(self.network, self._adapted(x)).flatten(1)

    @property
    def token_features(self) -> int:
        shape = self._map_shape
        return self.out_features if shape is None else shape[0 if len(shape) == 3 else 1]

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the positions of the last maps, or a vision transformer's tokens.

        GoogLeNet, Inception, SqueezeNet and MaxViT have one token, their features.
        """
        divided = halves(self.network)
        if divided is None:
            return super().encode_tokens(x)
        found = self._run(divided.body, self._adapted(x))
        return tokens_of_maps(found) if found.ndim == 4 else Tokens(found)

    def pool(self, tokens: Tokens) -> Tensor:
        divided, shape = halves(self.network), self._map_shape
        if divided is None or shape is None:
            return super().pool(tokens)
        maps = tokens.values
        if len(shape) == 3:
            maps = maps_of_tokens(tokens, (shape[1], shape[2]))
        return self._run(divided.tail, maps).flatten(1)

    @cached_property
    def _map_shape(self) -> tuple[int, ...] | None:
        return map_shape(self.network, self.size)

    def stages(self) -> Sequence[Stage]:
        """Return the stem, the four stages and the pooling of a ResNet; other models are one."""
        parts = resnet_parts(self.network)
        if not parts:
            return super().stages()
        (stem, channels), *others = parts
        first = Stage(lambda x: self._run(stem, self._adapted(x)), channels)
        return (first, *(Stage(partial(self._run, part), width) for part, width in others))

    def _adapted(self, x: Tensor) -> Tensor:
        x = self.adapt(x) * self.scale + self.shift  # one channel broadcasts to three
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", antialias=True)
        return x

    def _run(self, part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            with running_statistics(self.network):
                return part(x)
        return part(x)


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
    first = net.class_token.expand(x.shape[0], -1, -1)
    return net.encoder(torch.cat([first, patches], dim=1))
