"""Small vision transformer for small images."""

# B rows, N patches, T tokens (N, and one more with a class token), K patches kept, D width

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.encoders.transformer_blocks import LAYER_NORM_EPS, Block, check_heads
from jlrun.ranges import Fraction, PositiveInt


class ViT(Encoder):
    """Patches with learned positions through pre-norm transformer blocks.

    Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, eqs. (1) to (4). Differs from it
    in: images whose sides are no multiple of ``patch`` are padded with zeros at the right and at
    the bottom; ``pool=mean`` has no class token and averages the patches, as in Beyer et al.,
    "Better plain ViT baselines for ImageNet-1k", 2022. Parameters have timm's names.

    Args:
        spec: images of shape ``(C, H, W)``, from 1×1 up.
        patch: side of a patch in pixels. Cost grows with the square of the number of patches.
        width: D of the tokens, and of the features ``(B, D)``.
        depth: number of blocks.
        heads: of the attention; they divide ``width``.
        dropout: share of the embedded tokens, and of what each layer adds, dropped in training.
        pool: the features are the class ``token``, or the ``mean`` of the patches.

    Attributes:
        grid: rows and columns of patches; N is their product.

    Raises:
        UserError: if ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        spec: ImageSpec,
        patch: PositiveInt = 4,
        width: PositiveInt = 192,
        depth: PositiveInt = 6,
        heads: PositiveInt = 3,
        dropout: Fraction = 0.0,
        pool: Literal["token", "mean"] = "token",
    ) -> None:
        super().__init__()
        check_heads("backbone.image", width, heads)
        self.patch = patch
        self.grid = (ceil(spec.height / patch), ceil(spec.width / patch))
        has_token = pool == "token"
        num_tokens = self.grid[0] * self.grid[1] + has_token
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if has_token else None
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, width))
        self.patch_embed = PatchEmbedding(spec.channels, patch, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.out_features = width
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return self._pooled(self.tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        return Tokens(self.tokens(x))

    def pool(self, tokens: Tokens) -> Tensor:
        return self._pooled(tokens.values)

    def tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return the normalised tokens ``(B, T, D)`` of images, a class token first.

        Args:
            x: images ``(B, C, H, W)``.
            keep: Int ``(B, K)``: the patches of each row that are seen, in row-major order of the
                grid; T is then K, or K + 1. None: all.
        """
        tokens = self._embedded(x, keep)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def padded(self, x: Tensor) -> Tensor:
        """Return images ``(B, C, H, W)`` with sides rounded up to whole patches."""
        rows, columns = (side * self.patch for side in self.grid)
        return F.pad(x, (0, columns - x.shape[3], 0, rows - x.shape[2]))

    def stages(self) -> Sequence[Stage]:
        """Return the blocks, of tokens as ``(B, D, T)``: the first embeds, another stage pools."""
        width = self.out_features
        first, *others = self.blocks
        return (
            Stage(lambda x: first(self._embedded(x, None)).mT, width),
            *(Stage(lambda x, block=block: block(x.mT).mT, width) for block in others),
            Stage(lambda x: self._pooled(self.norm(x.mT)), width),
        )

    def _embedded(self, x: Tensor, keep: Tensor | None) -> Tensor:
        patches = self.patch_embed(self.padded(x))
        places = self.pos_embed[:, -patches.shape[1] :]
        tokens = patches + places
        if keep is not None:
            tokens = tokens.gather(1, keep[:, :, None].expand(-1, -1, tokens.shape[2]))
        if self.cls_token is not None:
            first = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
            tokens = torch.cat([first, tokens], dim=1)
        return self.dropout(tokens)

    def _pooled(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1) if self.cls_token is None else tokens[:, 0]

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        if self.cls_token is not None:
            nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)


class PatchEmbedding(nn.Module):
    """Linear map of each patch: a convolution whose stride is its kernel size.

    Args:
        channels: of the images.
        patch: side in pixels.
        width: D of the tokens.
    """

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, N, D)`` of images of whole patches."""
        return self.proj(x).flatten(2).mT
