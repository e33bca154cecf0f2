"""Masked images: hiding patches, and decoders that predict them from the visible ones."""

# B rows, N patches, K visible ones, T tokens, D width of the encoder, P numbers in a patch,
# C channels, p side of a patch

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.encoders.transformer import Block

_STD = 0.02  # of tokens and positions at the start


class TokenDecoder(nn.Module):
    """A small transformer over the visible tokens and a learned token at each hidden patch.

    Args:
        in_features: D.
        num_patches: N.
        has_token: whether a class token comes first.
        patch_size: P.
        width: of the decoder's tokens, a multiple of ``heads``.
        depth: blocks.
        heads: of the attention.
    """

    def __init__(
        self,
        in_features: int,
        num_patches: int,
        has_token: bool,
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.has_token = has_token
        self.embed = nn.Linear(in_features, width)
        self.hidden = nn.Parameter(_STD * torch.randn(width))
        self.positions = nn.Parameter(_STD * torch.randn(num_patches, width))
        self.blocks = nn.Sequential(*(Block(width, heads, 0.0) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, patch_size)

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """Return a prediction of every patch, ``(B, N, P)``.

        Args:
            tokens: ``(B, K, D)``, or ``(B, K + 1, D)`` with the class token.
            visible: int64 ``(B, K)``, the patches of the tokens.
        """
        embedded = self.embed(tokens)
        seen = embedded[:, 1:] if self.has_token else embedded
        places = visible[:, :, None].expand(-1, -1, seen.shape[2])
        everywhere = self.hidden.to(seen.dtype).expand(len(seen), len(self.positions), -1)
        patches = everywhere.scatter(1, places, seen) + self.positions
        if self.has_token:
            patches = torch.cat([embedded[:, :1], patches], dim=1)
        decoded = self.norm(self.blocks(patches))
        return self.predict(decoded[:, -len(self.positions) :])


class FeatureDecoder(nn.Module):
    """MLP on the features of the whole row and the position of the patch.

    Args:
        in_features: D.
        num_patches: N.
        patch_size: P.
        width: of its hidden layers.
    """

    def __init__(self, in_features: int, num_patches: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(in_features, width)
        self.positions = nn.Parameter(torch.randn(num_patches, width))
        self.layers = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, patch_size)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return a prediction of every patch, ``(B, N, P)``, from features ``(B, D)``."""
        return self.layers(self.embed(features)[:, None] + self.positions)


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
