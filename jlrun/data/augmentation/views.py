"""Two augmented views of each row, for terms that learn without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Generator, Tensor

from jlrun.data.augmentation.image_ops import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    flip,
    gaussian_blur,
    random_resized_crop,
    solarize,
    to_grayscale,
    uniform,
)
from jlrun.data.augmentation.signal_ops import (
    add_noise,
    change_gain,
    disturb_numbers,
    hide_steps,
    mask_tokens,
    shift_time,
    swap_numbers,
)
from jlrun.data.batch import Batch
from jlrun.data.specs import NO_SPECS, SeriesSpec, Spec, TabularSpec
from jlrun.ranges import Fraction, NonNegativeFloat, Probability

# Rows with fewer floats are unordered numbers, not a waveform.
SHORTEST_WAVE = 64
_SMALLEST_SIGMA, _LARGEST_SIGMA = 0.1, 2.0  # of the blur, in pixels, as in SimCLR


@dataclass(frozen=True)
class Views:
    """Two versions of the inputs of a batch, changed at random and independently of each other.

    The defaults suit small photos such as CIFAR's: crops, flips, colours and grayscale as in Chen
    et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
    appendix A and B.9, without blur. Differs from it in: crops cover at least a fifth of the image
    and not 8 %, colours change as much as at the paper's strength 0.5, and the order of the four
    colour changes is drawn once for a batch. Of digits and letters ``flip=0`` keeps the meaning.

    Cells of tables and series are recognised by their specs, other inputs by their tensors: images
    are float ``(B, C, H, W)`` in [0, 1], waveforms float ``(B, L)`` with L at least 64, texts
    integer ``(B, T)``; other floats are plain numbers.

    Attributes:
        crop: smallest share of an image's area that a crop covers, before it is enlarged to the
            image's size (`jlrun.data.augmentation.image_ops`); 1: no crop.
        flip: probability of a horizontal flip.
        jitter: probability of the changes of brightness, contrast, saturation and hue together.
        brightness: largest change of the factor of the brightness from 1.
        contrast: likewise of the contrast.
        saturation: likewise of the saturation.
        hue: largest turn of the hue, either way, as a share of the colour circle.
        grayscale: probability of losing all colour.
        blur: probability of a Gaussian blur of 0.1 to 2 pixels, over a tenth of the image's side.
        solarize: probability that pixels of 0.5 and above are inverted.
        gain_db: largest change of a waveform's loudness, either way, in decibels.
        time_shift: largest shift of a waveform, either way, as a share of its length.
        noise: largest level of white noise in a waveform, as a multiple of the waveform's level;
            for plain numbers, those of tables and of series, noise in units of each column's spread
            in the batch. Missing values stay missing.
        swap: share of plain numbers, and of the cells of a table, that are replaced by those of
            other rows.
        mask_tokens: share of a text's tokens that become unknown, and of the steps of a series
            that go missing.
    """

    crop: Annotated[float, Gt(0), Le(1)] = 0.2
    flip: Probability = 0.5
    jitter: Probability = 0.8
    brightness: Probability = 0.4
    contrast: Probability = 0.4
    saturation: Probability = 0.4
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.1
    grayscale: Probability = 0.2
    blur: Probability = 0.0
    solarize: Probability = 0.0
    gain_db: NonNegativeFloat = 6.0
    time_shift: Fraction = 0.1
    noise: NonNegativeFloat = 0.1
    swap: Probability = 0.2
    mask_tokens: Probability = 0.15

    @torch.no_grad()
    def __call__(
        self, batch: Batch, generator: Generator, specs: Mapping[str, Spec] = NO_SPECS
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Return two views of ``batch.inputs``, a function of batch and ``generator`` alone.

        ``specs`` has the spec of each modality. The generator may be on the CPU for batches on any
        device: then every device gets the same crops and colours.
        """
        return self._view(batch, generator, specs), self._view(batch, generator, specs)

    def _view(
        self, batch: Batch, generator: Generator, specs: Mapping[str, Spec]
    ) -> dict[str, Tensor]:
        changed = {}
        for name, x in batch.inputs.items():
            match specs.get(name):
                case TabularSpec(numbers=numbers):
                    present = batch.present.get(name)
                    changed[name] = self._change_cells(x, len(numbers), present, generator)
                case SeriesSpec():
                    x = hide_steps(x, self.mask_tokens, generator)
                    changed[name] = disturb_numbers(x, self.noise, generator)
                case _:
                    changed[name] = self._change(x, generator)
        return changed

    def _change_cells(
        self, x: Tensor, numbers: int, present: Tensor | None, generator: Generator
    ) -> Tensor:
        """Swap cells of any kind; disturb the first ``numbers`` of them."""
        x = swap_numbers(x, self.swap, generator, present)
        disturbed = disturb_numbers(x[:, :numbers], self.noise, generator)
        return torch.cat([disturbed, x[:, numbers:]], dim=1)

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        if not x.is_floating_point():
            return mask_tokens(x, self.mask_tokens, generator)
        if x.ndim == 4:
            return self._change_images(x, generator)
        if x.ndim == 2 and x.shape[1] >= SHORTEST_WAVE:
            x = shift_time(x, self.time_shift, generator)
            x = change_gain(x, self.gain_db, generator)
            return add_noise(x, self.noise, generator)
        x = swap_numbers(x, self.swap, generator)
        return disturb_numbers(x, self.noise, generator)

    def _change_images(self, x: Tensor, generator: Generator) -> Tensor:
        if self.crop < 1:
            x = random_resized_crop(x, self.crop, generator)
        if self.flip:
            x = flip(x, self.flip, generator)
        if self.jitter:
            x = self._jitter(x, generator)
        if self.grayscale:
            x = _some(x, to_grayscale(x), self.grayscale, generator)
        if self.blur:
            x = _some(x, _blurred(x, generator), self.blur, generator)
        if self.solarize:
            x = _some(x, solarize(x), self.solarize, generator)
        return x

    def _jitter(self, x: Tensor, generator: Generator) -> Tensor:
        drawn = 2 * uniform((4, len(x)), generator, x.device).to(x.dtype) - 1
        changes = (
            lambda y: adjust_brightness(y, 1 + self.brightness * drawn[0]),
            lambda y: adjust_contrast(y, 1 + self.contrast * drawn[1]),
            lambda y: adjust_saturation(y, 1 + self.saturation * drawn[2]),
            lambda y: adjust_hue(y, self.hue * drawn[3]),
        )
        changed = x
        for i in torch.randperm(4, generator=generator, device=generator.device).tolist():
            changed = changes[i](changed)
        return _some(x, changed, self.jitter, generator)


def _some(x: Tensor, changed: Tensor, probability: float, generator: Generator) -> Tensor:
    """Return each row changed with ``probability``."""
    chosen = uniform((len(x), 1, 1, 1), generator, x.device) < probability
    return torch.where(chosen, changed, x)


def _blurred(x: Tensor, generator: Generator) -> Tensor:
    span = _LARGEST_SIGMA - _SMALLEST_SIGMA
    sigma = _SMALLEST_SIGMA + span * uniform((len(x),), generator, x.device)
    size = 2 * (max(x.shape[2:]) // 20) + 1  # odd, about a tenth of the longer side
    return gaussian_blur(x, sigma, max(3, size))
