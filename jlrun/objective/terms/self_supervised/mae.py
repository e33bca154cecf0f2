"""MAE: masked autoencoder of image patches."""

# B rows, N patches, K visible ones

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing.base import FeatureSharing
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.encoding import encode, plain_rows
from jlrun.objective.terms.self_supervised.mae_decoders import (
    FeatureDecoder,
    TokenDecoder,
    hide_patches,
    padded,
    patchify,
    random_order,
    standardised,
)
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.objective.terms.self_supervised.samples import find_images
from jlrun.objective.terms.totals import no_loss, precise
from jlrun.ranges import NonNegativeFloat, PositiveInt


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder of images that can leave patches out (`jlrun.models.encoders.ViT`)."""

    patch: int
    grid: tuple[int, int]
    out_features: int

    def tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor: ...


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
