"""A ResNet whose last two stages keep their resolution: maps for dense tasks."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.architectures import build_features
from jlrun.models.encoders.base import Encoder, Tokens, maps_of_tokens, tokens_of_maps
from jlrun.models.encoders.pretrained import load_pretrained, published_moments, renormalise
from jlrun.models.module_state import running_statistics

if TYPE_CHECKING:
    from torchvision.models import ResNet

OUTPUT_STRIDE = 8


class DilatedResNet(Encoder):
    """Maps ``(B, out_features, H/8, W/8)`` of images: a ResNet without pooling and classifier.

    Stages 3 and 4 have stride 1 and dilated 3×3 convolutions in place of stride 2: section 3.1 of
    Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, with output
    stride 8. Every fourth value along each side is what the network without dilation gives, so its
    published weights fit. Differs from it in: stage 4 has a single rate, as in Yu et al., "Dilated
    Residual Networks", CVPR 2017.

    Gray images are repeated to three channels; images of another number of channels pass a learned
    1×1 convolution. Sides are rounded up. With pretrained weights, pixels are normalised as in
    pretraining. One image whose map is a single pixel is normalised by the running statistics of
    BatchNorm, as it has none of its own.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        name: of the torchvision ResNet.
        weights: null, a local ``.safetensors`` or ``.pth`` file, ``DEFAULT`` or another name of
            published weights, which are downloaded once.

    Raises:
        UserError: if the weights can't be had or don't fit.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        name: Literal["resnet18", "resnet34", "resnet50"] = "resnet50",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        network, self.out_features = build_features(name, (spec.height, spec.width), "imagenet")
        self.network = cast("ResNet", network)
        self.size = (ceil(spec.height / OUTPUT_STRIDE), ceil(spec.width / OUTPUT_STRIDE))
        self.adapt = nn.Identity() if spec.channels in (1, 3) else nn.Conv2d(spec.channels, 3, 1)
        scale, shift = torch.ones(3), torch.zeros(3)
        if weights is not None:
            load_pretrained(self.network, name, weights)
            scale, shift = renormalise(spec, *published_moments(name))
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])
        _dilate(self.network.layer3, 2)
        _dilate(self.network.layer4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.adapt(x) * self.scale + self.shift  # one channel broadcasts to three
        if self.training and len(x) == 1 and max(x.shape[2:]) <= OUTPUT_STRIDE:
            with running_statistics(self.network):
                return self._maps(x)
        return self._maps(x)

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the positions of the maps, row by row."""
        return tokens_of_maps(self(x))

    def pool(self, tokens: Tokens) -> Tensor:
        """Return the maps themselves: an encoder of dense features does not pool."""
        return maps_of_tokens(tokens, self.size)

    def _maps(self, x: Tensor) -> Tensor:
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        return net.layer4(net.layer3(net.layer2(net.layer1(x))))


def _dilate(stage: nn.Module, rate: int) -> None:
    """Replace the stride of 2 of a stage by dilation; its input is ``rate / 2`` times larger."""
    convolutions = [module for module in stage.modules() if isinstance(module, nn.Conv2d)]
    for convolution in convolutions:
        # Layers that read the stage's input keep the previous rate.
        own = rate // 2 if convolution.stride == (2, 2) else rate
        convolution.stride = (1, 1)
        if convolution.kernel_size == (3, 3):
            convolution.dilation = convolution.padding = (own, own)
