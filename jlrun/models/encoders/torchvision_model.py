"""Encoder: any classification model of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import colour_input
from jlrun.models.encoders.architectures import (
    build_features,
    check_name,
    choose_stem,
    resnet_parts,
    working_size,
)
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.encoders.pretrained import load_pretrained
from jlrun.models.encoders.sequences import maps_of_tokens, tokens_of_maps
from jlrun.models.encoders.torchvision_maps import halves, map_shape
from jlrun.models.module_state import running_statistics
from jlrun.models.weight_files import LoadReport
from jlrun.ranges import PositiveInt

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Torchvision(Encoder):
    """A torchvision model without its classifier.

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
            scale, shift = renormalise(name, spec)
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


def renormalise(name: str, spec: ImageSpec) -> tuple[Tensor, Tensor]:
    """Return a and b, ``(3,)``, such that ax + b is normalised as in pretraining.

    x is normalised by the spec's mean and std. Channels that are no colours are left as they are.
    """
    # the published weights of these were trained on pixels in [-1, 1]
    plain = name in ("googlenet", "inception_v3", "efficientnet_v2_l")
    half = (0.5, 0.5, 0.5)
    mean, std = (half, half) if plain else (IMAGENET_MEAN, IMAGENET_STD)
    return colour_input.renormalise(spec, mean, std)
