"""Pretrained image networks: weights from a file of any library or by download, and their input."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError, did_you_mean
from jlrun.models.weight_files import SUFFIXES, LoadReport, Skipped, fit_weights, read_weights
from jlrun.models.weight_files.adapters import folded
from jlrun.models.weight_files.reading import first_line, settings_beside, weight_file

WHERE = "backbone.image.weights"
Weights = Mapping[str, Tensor]

Moments = Sequence[float]  # of red, green and blue
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Parts of published files that are used in training but not for features: classifiers,
# auxiliary losses, the projections and decoders of self-supervised training.
_BESIDE = re.compile(
    r"(^|\.)(aux1|aux2|AuxLogits|fc|head|heads|classifier|pooler|pre_logits|projector|predictor|"
    r"projection_head|prototypes|mask_token|decoder\w*)(\.|$)"
)


def load_pretrained(network: nn.Module, name: str, weights: str) -> LoadReport:
    """Fill ``network``, model ``name`` without its last layer, with pretrained weights.

    Files of torchvision, timm and Hugging Face are understood, also inside a training loop's
    checkpoint. Position embeddings of vision transformers are interpolated to the network's image
    size.

    Args:
        network: from `jlrun.models.encoders.architectures.build_features`.
        name: of the torchvision model.
        weights: a ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file, the folder of a run or
            checkpoint, or the name of published weights: ``DEFAULT`` or for example
            ``IMAGENET1K_V1``.

    Returns:
        what was loaded, and notes on possible differences from the other library's outputs.

    Raises:
        UserError: if the weights can't be found, read or downloaded, or don't fit the network.
    """
    path = Path(weights).expanduser()
    if path.suffix in SUFFIXES or path.is_dir():
        return load_file(network, name, path)
    return _fill(network, name, _download(name, weights), {}, source=weights)


def load_file(network: nn.Module, name: str, path: Path) -> LoadReport:
    """Fill ``network``, model ``name`` of any library, with the weights of a file or folder.

    Raises:
        UserError: if the weights can't be found or read, or don't fit the network.
    """
    file = weight_file(path, WHERE)
    tensors = folded(read_weights(file, WHERE), file)
    return _fill(network, name, tensors, settings_beside(file), source=str(path))


def _fill(
    network: nn.Module, name: str, found: Weights, settings: Mapping[str, Any], source: str
) -> LoadReport:
    fit = fit_weights(network, found, settings)
    _check_complete(network, fit.report, name, source)
    network.load_state_dict(fit.tensors, strict=False)
    return fit.report


def _download(name: str, weights: str) -> Weights:
    from torchvision import models

    published = cast(Any, models.get_model_weights(name)).__members__
    if weights not in published:
        raise UserError.of(
            WHERE,
            f"'{weights}' is neither a file ({', '.join(SUFFIXES)}) or folder nor published "
            f"weights of {name}.{did_you_mean(weights, published)}",
        )
    url = published[weights].url
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:  # URLError is an OSError
        file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        raise UserError.of(
            WHERE,
            f"the weights {weights} of {name} can't be downloaded ({first_line(error)}). "
            f"Put {url} at '{file}', or set weights to a local file.",
        ) from error


def _check_complete(network: nn.Module, report: LoadReport, name: str, source: str) -> None:
    """Check that every tensor of the network, and no other, was found.

    Other content of the file, such as a classifier, does not matter.
    """
    of_shape = [skipped for skipped in report.skipped if skipped.kind == "shape"]
    expected = network.state_dict()
    found = {
        "of other shape": [f"{skipped.name} is {skipped.reason}" for skipped in of_shape],
        "missing": [n for n in report.missing if n not in {s.target for s in of_shape}],
        "unknown": [
            skipped.name
            for skipped in report.skipped
            if skipped.kind == "unknown" and not _is_beside(network, skipped.name)
        ],
    }
    if not any(found.values()):
        return
    details = [
        f"{len(items)} {what}: {', '.join(items[:3])}{', …' if len(items) > 3 else ''}"
        for what, items in found.items()
        if items
    ]
    hint = " Weights of the 7×7 stem need stem=imagenet." if _other_stem(expected, of_shape) else ""
    raise UserError.of(
        WHERE,
        f"'{source}' does not fit {name}: {len(report.loaded)} of its {len(expected)} tensors fit; "
        f"{'; '.join(details)}. Nothing was loaded.{hint}",
    )


def _is_beside(network: nn.Module, name: str) -> bool:
    classifier = list(network.named_children())[-1][0]
    return name.startswith(f"{classifier}.") or _BESIDE.search(name) is not None


def _other_stem(expected: Weights, of_shape: Sequence[Skipped]) -> bool:
    stems = [skipped for skipped in of_shape if skipped.target == "conv1.weight"]
    return bool(stems) and expected["conv1.weight"].shape[2:] == (3, 3)


def published_moments(name: str) -> tuple[Moments, Moments]:
    """Return mean and std of the pixels in the training of a torchvision model's weights."""
    if name in ("googlenet", "inception_v3", "efficientnet_v2_l"):  # pixels in [-1, 1]
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return IMAGENET_MEAN, IMAGENET_STD


class ColourInput(nn.Module):
    """Three channels, of a size, normalised as in pretraining.

    Gray images are repeated; images of another number of channels pass a learned 1×1 convolution.

    Args:
        spec: of the images.
        size: height and width that images are brought to.
        moments: mean and std of pretraining, three numbers each; None: the data set's own.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        size: tuple[int, int],
        moments: tuple[Sequence[float], Sequence[float]] | None,
    ) -> None:
        super().__init__()
        self.size = size
        self.adapt = nn.Identity() if spec.channels in (1, 3) else nn.Conv2d(spec.channels, 3, 1)
        scale, shift = torch.ones(3), torch.zeros(3)
        if moments is not None:
            scale, shift = renormalise(spec, *moments)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, 3, *size)`` of images ``(B, C, H, W)`` that the spec's moments normalise."""
        x = self.adapt(x) * self.scale + self.shift  # one channel broadcasts to three
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", antialias=True)
        return x


def renormalise(
    spec: ImageSpec, mean: Sequence[float], std: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return a and b, ``(3,)``, such that ax + b is normalised by ``mean`` and ``std``.

    x is normalised by the spec's own. Channels that are no colours are left as they are.
    """
    if spec.channels not in (1, 3):
        return torch.ones(3), torch.zeros(3)
    own_mean, own_std = torch.tensor(spec.mean or (0.0,)), torch.tensor(spec.std or (1.0,))
    wanted_mean, wanted_std = torch.tensor(tuple(mean)), torch.tensor(tuple(std))
    return own_std.expand(3) / wanted_std, (own_mean.expand(3) - wanted_mean) / wanted_std
