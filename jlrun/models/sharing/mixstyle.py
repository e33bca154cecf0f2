"""Hard sharing of features whose style is mixed between rows."""

# μ, σ mean and standard deviation of a row's channel over its positions; λ share of a row's own

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated

import torch
from annotated_types import MinLen
from torch import Tensor, nn
from torch.distributions import Beta

from jlrun.data.batch import Batch
from jlrun.models.sharing.base import Cut, FeatureSharing, MakeTrunk, leaf_for_each
from jlrun.models.trunk import Encoded, Trunk
from jlrun.ranges import PositiveFloat, PositiveInt, Probability
from jlrun.ranks.whole_batch import num_rows, own_rows, rows_of_all

EPSILON = 1e-6


class MixStyle(FeatureSharing):
    """All heads see the same features; in training the style of maps within the trunk is mixed.

    After each of the named stages of an encoder, with probability p: x ← γ (x − μ) / σ + β with
    γ = λ σ + (1 − λ) σ′ and β = λ μ + (1 − λ) μ′, where μ′, σ′ are of another row of the batch,
    drawn at random, and λ ~ Beta(α, α) for each row. μ and σ have no gradient.

    Zhou et al., "Domain Generalization with MixStyle", ICLR 2021, section 3.2, with random
    shuffling. Differs from it in: nothing. Vectors and maps of one pixel have no style and pass
    unchanged, and so does a batch of one row. Sources are mixed with each other where they pass
    through the model in one batch. In evaluation it is `Hard`.

    Args:
        make_trunk: returns the trunk.
        tasks: their names.
        p: probability of mixing, for each stage and step.
        alpha: α.
        stages: numbers, from 1, of the stages that are followed by mixing; of a ResNet, 1 is the
            stem and 2 to 5 are its stages. Numbers that an encoder lacks are ignored.
    """

    between_stages = True

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        p: Probability = 0.5,
        alpha: PositiveFloat = 0.1,
        stages: Annotated[Sequence[PositiveInt], MinLen(1)] = (1, 2),
    ) -> None:
        def make_mixing_trunk() -> Trunk:
            return StyleMixingTrunk(make_trunk(), p, alpha, frozenset(stages))

        super().__init__(make_mixing_trunk, tasks)

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        return dict.fromkeys(tasks, fused)

    def cut(self, fused: Tensor, tasks: Collection[str]) -> Cut:
        return leaf_for_each(fused, tasks)

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        return self.trunk.fusion.build_head(make_head)


class StyleMixingTrunk(Trunk):
    """Trunk that mixes styles between the stages of its encoders, in training.

    Args:
        trunk: its encoders and fusion are taken over.
        p: probability of mixing, for each stage and batch.
        alpha: α of the Beta distribution of λ.
        mixed: numbers of the stages that are followed by mixing, from 1.
    """

    def __init__(self, trunk: Trunk, p: float, alpha: float, mixed: frozenset[int]) -> None:
        super().__init__({}, trunk.fusion, pooled=True)
        self.encoders = trunk.encoders
        self.p, self.alpha, self.mixed = p, alpha, mixed

    def forward(self, batch: Batch) -> Encoded:
        if not self.training:
            return super().forward(batch)
        return self.join(self.of_each_modality(batch, self._mixed), batch)

    def _mixed(self, modality: str, x: Tensor) -> Tensor:
        for number, stage in enumerate(self.stages(modality), 1):
            x = stage.run(x)
            if number in self.mixed and _has_style(x) and float(torch.rand(())) < self.p:
                share = own_rows(Beta(self.alpha, self.alpha).sample((num_rows(x),)))
                partner = own_rows(torch.randperm(num_rows(x)))
                x = mix_styles(x, partner.to(x.device), share.to(x.device))
        return x


def mix_styles(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """Return maps ``(B, C, ...)`` with the style of each row mixed with that of another one.

    Args:
        x: ``(B, C, ...)``.
        partner: int64 ``(B,)``, the other row of each row, of those of all ranks.
        share: λ, ``(B,)``.
    """
    positions = tuple(range(2, x.ndim))
    with torch.no_grad():
        exact = x if x.dtype == torch.float64 else x.float()
        mean = exact.mean(dim=positions, keepdim=True)
        std = (exact.var(dim=positions, correction=0, keepdim=True) + EPSILON).sqrt()
        share = share.to(exact).view(-1, *[1] * (x.ndim - 1))
        new_mean = share * mean + (1 - share) * rows_of_all(mean)[partner]
        scale = (share * std + (1 - share) * rows_of_all(std)[partner]) / std
        shift = new_mean - scale * mean
    return x * scale.to(x.dtype) + shift.to(x.dtype)


def _has_style(x: Tensor) -> bool:
    return x.ndim > 2 and num_rows(x) > 1 and x.shape[2:].numel() > 1
