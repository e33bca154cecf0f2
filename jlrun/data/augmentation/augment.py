"""Augmentation of whole batches on the device, different for every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor

from jlrun.data.augmentation.image_ops import Draws, affine, crop, erase, flip
from jlrun.data.augmentation.mixing import cutmix, mixup
from jlrun.data.batch import Batch
from jlrun.data.specs import NO_SPECS, Spec
from jlrun.data.transforms import as_unit
from jlrun.ranges import Fraction, NonNegativeFloat, NonNegativeInt, Probability


@dataclass(frozen=True)
class Augment:
    """Random changes to training images, then mixing of rows; each is off at 0.

    Images are ``(B, C, H, W)``, uint8 or float in [0, 1], before normalisation, and float after it;
    what moves in from outside is black. With both ``mixup`` and ``cutmix`` on, each batch takes one
    of them at random.

    Attributes:
        crop: pixels of zero padding on every side before a random crop back to the image size.
        flip: probability of a horizontal flip.
        shift: largest shift along each axis, as a share of the image size.
        rotate: largest rotation in degrees, either way.
        erase: probability of an erased box (`jlrun.data.augmentation.image_ops.erase`).
        mixup: parameter alpha of Beta(alpha, alpha) (`jlrun.data.augmentation.mixing.mixup`).
        cutmix: parameter alpha of Beta(alpha, alpha) (`jlrun.data.augmentation.mixing.cutmix`).
    """

    crop: NonNegativeInt = 0
    flip: Probability = 0.0
    shift: Fraction = 0.0
    rotate: Annotated[float, Ge(0), Le(180)] = 0.0
    erase: Probability = 0.0
    mixup: NonNegativeFloat = 0.0
    cutmix: NonNegativeFloat = 0.0

    @torch.no_grad()
    def __call__(
        self, batch: Batch, generator: Generator, specs: Mapping[str, Spec] = NO_SPECS
    ) -> Batch:
        """Return the augmented batch, a function of batch and ``generator`` alone.

        Inputs are brought to floats as by `to_unit`, whole pixels moved before that: as bytes, they
        take a quarter of the memory.

        ``specs`` has the spec of each modality. The generator may be on the CPU for batches on any
        device: then every device gets the same crops, flips, boxes and weights.
        """
        inputs = self.of_inputs(batch.inputs, generator)
        if any(inputs[name] is not x for name, x in batch.inputs.items()):
            batch = replace(batch, inputs=inputs)
        mix = self._choose_mix(generator, specs)
        return batch if mix is None or batch.size < 2 else mix(batch, generator)

    @property
    def mixes(self) -> bool:
        """Whether rows are mixed with others."""
        return bool(self.mixup or self.cutmix)

    @torch.no_grad()
    def of_inputs(self, inputs: Mapping[str, Tensor], generator: Draws) -> dict[str, Tensor]:
        """Return the inputs of a batch, or of some of its rows (`RowDraws`), augmented."""
        return {name: self._augment(x, generator) for name, x in inputs.items()}

    def _augment(self, x: Tensor, generator: Draws) -> Tensor:
        if x.ndim != 4 or not (x.is_floating_point() or x.dtype == torch.uint8):
            return as_unit(x)
        if self.shift or self.rotate:
            x = affine(as_unit(x), self.shift, self.rotate, generator)
        if self.crop:
            x = crop(x, self.crop, generator)
        if self.flip:
            x = flip(x, self.flip, generator)
        x = as_unit(x)
        return erase(x, self.erase, generator) if self.erase else x

    def _choose_mix(
        self, generator: Generator, specs: Mapping[str, Spec]
    ) -> Callable[[Batch, Generator], Batch] | None:
        def by_mixup(batch: Batch, generator: Generator) -> Batch:
            return mixup(batch, self.mixup, generator, specs)

        def by_cutmix(batch: Batch, generator: Generator) -> Batch:
            return cutmix(batch, self.cutmix, generator, specs)

        if self.mixup and self.cutmix:
            coin = torch.rand((), generator=generator, device=generator.device)
            return by_mixup if coin < 0.5 else by_cutmix
        if self.mixup:
            return by_mixup
        return by_cutmix if self.cutmix else None
