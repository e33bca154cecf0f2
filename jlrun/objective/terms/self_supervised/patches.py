"""Images as patches, some of which are hidden."""

# B rows, N patches, C channels, p side of a patch

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def padded(images: Tensor, patch: int) -> Tensor:
    """Return images ``(B, C, H, W)`` with zeros at the right and bottom, up to whole patches."""
    height, width = images.shape[2:]
    return F.pad(images, (0, -width % patch, 0, -height % patch))


def patchify(images: Tensor, patch: int) -> Tensor:
    """Return the patches ``(B, N, C p²)`` of images of whole patches, in row-major order."""
    return F.unfold(images, patch, stride=patch).mT


def hide_patches(images: Tensor, hidden: Tensor, patch: int) -> Tensor:
    """Set hidden patches to 0, the mean pixel of normalised images.

    Args:
        images: of whole patches.
        hidden: Bool ``(B, N)``.
        patch: p.
    """
    rows, _, height, width = images.shape
    grid = hidden.view(rows, 1, height // patch, width // patch)
    pixels = grid.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)
    return images.masked_fill(pixels, 0)


def standardised(patches: Tensor) -> Tensor:
    """Return each patch ``(B, N, C p²)`` with mean 0 and variance 1.

    Patches of a single number, which would all be 0, stay as they are.
    """
    if patches.shape[2] == 1:
        return patches
    centred = patches - patches.mean(dim=2, keepdim=True)
    return centred * (centred.square().mean(dim=2, keepdim=True) + 1e-6).rsqrt()


def random_order(rows: int, num_patches: int, device: torch.device) -> Tensor:
    """Return for each row a random order of its patches, int64 ``(B, N)``.

    Drawn from the global generator of the CPU.
    """
    return torch.rand(rows, num_patches).argsort(dim=1).to(device)
