"""Images converted for networks pretrained on colour photos."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec


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
