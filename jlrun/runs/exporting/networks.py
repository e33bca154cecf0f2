"""Networks of other libraries inside encoders: their description and expected inputs."""

# p pixel in [0, 1], m, s mean and std of the data set, a, b scale and shift of the encoder

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from jlrun.data.specs import ImageSpec, Spec, TextSpec
from jlrun.models.encoders import DilatedResNet, HuggingFace, Timm, Torchvision

COLOUR_CHANNELS = (1, 3)


def network_of(encoder: nn.Module) -> nn.Module:
    """Return what in an encoder has the names of another library, or the encoder itself."""
    foreign = isinstance(encoder, Torchvision | DilatedResNet | Timm | HuggingFace)
    return encoder.network if foreign else encoder


def describe_network(encoder: nn.Module, spec: Spec, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``network`` and ``input`` of a description; nothing for jlrun's own encoders.

    Args:
        encoder: of the run.
        spec: what it takes.
        node: of its config.
    """
    name = str(node.get("name"))
    match encoder, spec:
        case Torchvision() | DilatedResNet(), ImageSpec():
            is_dilated = isinstance(encoder, DilatedResNet)
            size = (spec.height, spec.width) if is_dilated else encoder.size
            network = {
                "library": "torchvision",
                "name": name,
                "options": _options(encoder.network, name, size),
                "small_stem": _has_small_stem(encoder.network),
                "dilated": is_dilated,
            }
            return {"network": network, "input": _input(size, encoder, spec)}
        case Timm(), ImageSpec():
            options = {} if encoder.img_size is None else {"img_size": encoder.img_size}
            network = {"library": "timm", "name": name, "options": options}
            return {"network": network, "input": _input(encoder.size, encoder.input, spec)}
        case HuggingFace(), TextSpec():
            config = encoder.network.config
            options = {"encoder_only": config.is_encoder_decoder, "pool": encoder.pooling}
            return {"network": {"library": "transformers", "name": name, **options}}
    return {}


class _Scaled(Protocol):
    """Rescaling from the data set's normalisation to that of pretraining."""

    @property
    def scale(self) -> Tensor: ...

    @property
    def shift(self) -> Tensor: ...


def _input(size: tuple[int, int], encoder: _Scaled, spec: ImageSpec) -> dict[str, Any]:
    """Return the size, and the mean and std that the network itself is used to.

    Those of a (p − m) / s + b: an encoder with pretrained weights turns the data set's
    normalisation into theirs.
    """
    if spec.channels not in COLOUR_CHANNELS:
        return {"size": list(size), "mean": None, "std": None, "normalisation": "data set"}
    m, s = (torch.tensor(v or (d,)).double() for v, d in ((spec.mean, 0.0), (spec.std, 1.0)))
    a, b = encoder.scale.flatten().double(), encoder.shift.flatten().double()
    mean, std = m - b * s / a, s / a
    own = bool((a == 1).all() and (b == 0).all())
    return {
        "size": list(size),
        "mean": mean.expand(3).tolist(),
        "std": std.expand(3).tolist(),
        "normalisation": "data set" if own else "pretraining",
    }


def _options(network: nn.Module, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return the arguments with which torchvision builds the same network."""
    if name.startswith("vit_"):
        return {"image_size": size[0]}
    if name.startswith("maxvit_"):
        return {"input_size": list(size)}
    if getattr(network, "aux_logits", None) is False:
        return {"aux_logits": False, "init_weights": False}
    return {}


def _has_small_stem(network: nn.Module) -> bool:
    stem = getattr(network, "conv1", None)
    return isinstance(stem, nn.Conv2d) and isinstance(
        getattr(network, "maxpool", None), nn.Identity
    )
