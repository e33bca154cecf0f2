"""MAE: masked autoencoder of image patches."""

# B rows, N patches, K visible ones, T tokens, D width of the encoder, P numbers in a patch,
# C channels, p side of a patch

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.encoders.transformer_blocks import Block
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing.base import FeatureSharing
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, no_loss, precise
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.objective.terms.self_supervised.rows import encode, find_images, plain_rows
from jlrun.ranges import NonNegativeFloat, PositiveInt

_STD = 0.02  # of tokens and positions at the start


@runtime_checkable
class TokenEncoder(Protocol):
    """Encoder of images that can leave patches out (`jlrun.models.encoders.ViT`)."""

    patch: int
    grid: tuple[int, int]
    out_features: int

    def tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return the tokens of ``x``, or those at the places in ``keep`` alone."""
        ...


class MAE(Term):
    """R = the mean squared error of predicted hidden patches, each of mean 0 and variance 1.

    He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022. A vision transformer
    that one trunk holds encodes the visible patches alone; a small transformer predicts the others.
    Differs from it in: the decoder is smaller and its positions are learned.

    Other encoders cannot leave patches out, which differs from the paper: hidden patches are set to
    the mean pixel, and an MLP predicts them from the fused features of the row, to which other
    modalities contribute. The encoder then sees masked inputs, which it never does afterwards.

    It hides patches of the inputs of the batch, not of their views. On a baseline that takes no
    images it is 0.

    Args:
        weight: strength α of the term.
        mask: share of the patches that are hidden; at least one is, and one is not.
        patch: side of a patch in pixels, at most half of the image's shorter side; of a vision
            transformer its own. Images are padded with zeros to whole patches.
        width: of the decoder.
        depth: blocks of the decoder, for a vision transformer.
        heads: of their attention; they divide ``width``.
    """

    needs: ClassVar[Need | None] = "views"
    decoder: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        mask: Annotated[float, Gt(0), Lt(1)] = 0.75,
        patch: PositiveInt = 4,
        width: PositiveInt = 128,
        depth: PositiveInt = 2,
        heads: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.mask = mask
        self.patch = patch
        self.width = width
        self.depth = depth
        self.heads = heads
        self._modality = ""

    def begin_phase(self, start: PhaseStart) -> None:
        """Build the decoder.

        Raises:
            UserError: if there are no images, or images of a single patch, or ``heads`` does not
                divide ``width``.
        """
        found = find_images(start, "mae", "it hides patches of images")
        if found is None:
            return
        self._modality, image = found
        encoder = self._token_encoder(start.model)
        self._side = self._patch_side(encoder, image)
        patches = patchify(padded(image, self._side), self._side)
        _, num_patches, patch_size = patches.shape
        if num_patches < 2:
            raise UserError.of("terms.mae", _one_patch(image, encoder is not None))
        if encoder is None:
            width = fused_width(start.model)
            made: nn.Module = FeatureDecoder(width, num_patches, patch_size, self.width)
        else:
            made = self._token_decoder(encoder, image, num_patches, patch_size)
        self.decoder = placed(made, start.model)

    def forward(self, view: StepView) -> Tensor:
        if not self._modality or (rows := plain_rows(view, self._modality)) is None:
            return no_loss(view)
        images = padded(rows.inputs[self._modality], self._side)
        patches = standardised(patchify(precise(images), self._side))
        num_patches = patches.shape[1]
        order = random_order(len(images), num_patches, images.device)
        num_visible = num_patches - min(max(round(self.mask * num_patches), 1), num_patches - 1)
        visible, hidden = order[:, :num_visible], order[:, num_visible:]
        guesses = precise(self._guess(view, rows, visible, hidden))
        errors = (guesses - patches).square().mean(dim=2)
        return errors.gather(1, hidden).mean()

    def _guess(self, view: StepView, rows: Batch, visible: Tensor, hidden: Tensor) -> Tensor:
        images, model = rows.inputs[self._modality], view.model
        assert isinstance(model, JointModel)
        encoder = self._token_encoder(model)
        if encoder is not None:
            return self.decoder(encoder.tokens(images, visible), visible)
        height, width = images.shape[2:]
        whole = padded(images, self._side)
        num_patches = visible.shape[1] + hidden.shape[1]
        mask = torch.zeros(len(images), num_patches, dtype=torch.bool, device=images.device)
        mask.scatter_(1, hidden, True)
        seen = hide_patches(whole, mask, self._side)[:, :, :height, :width]
        inputs = {**rows.inputs, self._modality: seen}
        return self.decoder(encode(model, replace(rows, inputs=inputs)))

    def _token_encoder(self, model: JointModel) -> TokenEncoder | None:
        if not isinstance(model.body, FeatureSharing):
            return None
        encoder = model.body.trunk.encoders[self._modality]
        return encoder if isinstance(encoder, TokenEncoder) else None

    def _patch_side(self, encoder: TokenEncoder | None, image: Tensor) -> int:
        if encoder is not None:
            return encoder.patch
        return min(self.patch, max(1, min(image.shape[2:]) // 2))

    def _token_decoder(
        self, encoder: TokenEncoder, image: Tensor, num_patches: int, patch_size: int
    ) -> TokenDecoder:
        if self.width % self.heads:
            raise UserError.of(
                "terms.mae.heads",
                f"{self.heads} heads can't share a width of {self.width} evenly; set it to a "
                "divisor of terms.mae.width",
            )
        with torch.no_grad():
            one = torch.zeros(1, 1, dtype=torch.long, device=image.device)
            has_token = encoder.tokens(image, one).shape[1] == 2
        return TokenDecoder(
            encoder.out_features,
            num_patches,
            has_token,
            patch_size,
            self.width,
            self.depth,
            self.heads,
        )


def _one_patch(image: Tensor, is_vit: bool) -> str:
    height, width = image.shape[2:]
    fix = "set backbone.image.patch to half of that or less" if is_vit else "choose another term"
    return f"images of {height}×{width} pixels are a single patch, with nothing to hide; {fix}"


class TokenDecoder(nn.Module):
    """Small transformer over the visible tokens and a learned token at each hidden patch.

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
