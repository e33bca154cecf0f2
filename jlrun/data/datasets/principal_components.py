"""Principal components of images, in chunks of rows and float64."""

# N images, P pixels, K components

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.errors import UserError

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class PrincipalComponents:
    """The directions in which images vary most.

    Attributes:
        mean: of each pixel, float64 ``(P,)``.
        directions: orthonormal, by falling variance, float64 ``(P, K)``.
        energy: share of the images' variance that they explain, in [0, 1].
    """

    mean: Tensor
    directions: Tensor
    energy: float

    @classmethod
    def of(cls, images: Tensor, count: int) -> PrincipalComponents:
        """Return the first ``count`` components of images, uint8 ``(N, C, H, W)``.

        Raises:
            UserError: if there are more components than pixels.
        """
        size = images[0].numel()
        if count > size:
            message = f"{count}, but an image has {size} pixels; use {size} or less"
            raise UserError.of("dataset.num_components", message)
        mean = images.flatten(1).double().mean(dim=0)
        covariance = torch.zeros(size, size, dtype=torch.float64)
        for chunk in images.flatten(1).split(_ROWS_AT_ONCE):
            centred = chunk.double() - mean
            covariance += centred.T @ centred
        variances, directions = torch.linalg.eigh(covariance)  # ascending
        total = variances.sum().clamp(min=torch.finfo(torch.float64).tiny)
        energy = float(variances[size - count :].sum() / total)
        return cls(mean, directions.flip(1)[:, :count], energy)

    def kept(self, images: Tensor) -> Tensor:
        """Return images, uint8 ``(N, C, H, W)``, projected onto the mean and the components."""
        chunks = [self._kept(chunk) for chunk in images.split(_ROWS_AT_ONCE)]
        return torch.cat(chunks).view(images.shape)

    def _kept(self, images: Tensor) -> Tensor:
        scores = (images.flatten(1).double() - self.mean) @ self.directions
        pixels = self.mean + scores @ self.directions.T
        return pixels.round().clamp(0, 255).to(torch.uint8)
