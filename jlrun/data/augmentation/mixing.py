"""Mixup and CutMix: rows of a batch mixed with each other, inputs and targets."""

# λ share of a row's own input and target, (B,);  α parameter of Beta(α, α)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from jlrun.data.augmentation.image_ops import box_mask, uniform
from jlrun.data.batch import Batch
from jlrun.data.specs import NO_SPECS, SeriesSpec, Spec, TabularSpec


def mixup(
    batch: Batch, alpha: float, generator: Generator, specs: Mapping[str, Spec] = NO_SPECS
) -> Batch:
    """Average each row with another one: x̃ = λ x + (1 - λ) x', and the loss likewise.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. Images, waveforms and
    numbers are mixed, all with the row's λ (`average`). Rows that differ in their modalities or
    labels are not mixed with each other (λ = 1).
    """
    partner, weight = _draw(batch, alpha, generator)
    inputs = {
        m: average(x, x[partner], weight, specs.get(m), generator) for m, x in batch.inputs.items()
    }
    return _mixed(batch, inputs, partner, weight)


def cutmix(
    batch: Batch, alpha: float, generator: Generator, specs: Mapping[str, Spec] = NO_SPECS
) -> Batch:
    """Paste a box of another row's image into each row; λ is the exact share of what is left.

    Eqs. (1) and (2) of Yun et al., "CutMix", ICCV 2019: a box of height H √(1 - λ) and width
    W √(1 - λ) about a uniform centre, cut to the image. Other inputs, and images of another size
    than the first ones, are averaged with the same λ as in `mixup`.
    """
    partner, weight = _draw(batch, alpha, generator)
    first = next((x for x in batch.inputs.values() if _is_image(x)), None)
    if first is None:
        inputs = {
            m: average(x, x[partner], weight, specs.get(m), generator)
            for m, x in batch.inputs.items()
        }
        return _mixed(batch, inputs, partner, weight)
    inside = _cutmix_boxes(weight, first.shape[2], first.shape[3], generator)
    weight = 1 - inside.flatten(1).float().mean(dim=1)

    def mix(modality: str, x: Tensor) -> Tensor:
        if _is_image(x) and x.shape[2:] == first.shape[2:]:
            return torch.where(inside, x[partner], x)
        return average(x, x[partner], weight, specs.get(modality), generator)

    return _mixed(batch, {m: mix(m, x) for m, x in batch.inputs.items()}, partner, weight)


def _cutmix_boxes(weight: Tensor, height: int, width: int, generator: Generator) -> Tensor:
    side = (1 - weight).clamp(min=0).sqrt()
    centre_y, centre_x = uniform((2, len(weight)), generator, weight.device)
    half_height, half_width = side * height / 2, side * width / 2
    y, x = (centre_y * height).floor(), (centre_x * width).floor()
    return box_mask(
        (y - half_height).round(),
        (y + half_height).round(),
        (x - half_width).round(),
        (x + half_width).round(),
        height,
        width,
    )


def _draw(batch: Batch, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return each row's partner and λ: Beta(α, α), or 1 where row and partner differ in kind."""
    device = next(iter(batch.inputs.values())).device
    size = batch.size
    partner = torch.randperm(size, generator=generator, device=generator.device)
    partner = partner.to(device, non_blocking=True)
    # The Beta distribution of PyTorch draws from the global generator only.
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    drawn = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, size))
    weight = drawn.float().to(device, non_blocking=True)
    for mask in (*batch.present.values(), *batch.labelled.values()):
        weight = torch.where(mask == mask[partner], weight, 1.0)
    return partner, weight


def average(
    own: Tensor,
    other: Tensor,
    weight: Tensor,
    spec: Spec | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return λ x + (1 - λ) x' of inputs ``(B, ...)``, where an average is defined.

    Text is kept from x, and so is a number that either row lacks. A category is that of x with
    probability λ, else that of x': the expected one-hot vector is the average.

    Args:
        own, other: x and x'.
        weight: λ, ``(B,)``.
        spec: of the inputs; None for other inputs than cells of a table and series.
        generator: decides which categories are swapped; None: the global one.
    """
    if not own.is_floating_point():
        return own
    share = weight.to(own.dtype).view(-1, *[1] * (own.ndim - 1))
    mixed = other.lerp(own, share)
    if isinstance(spec, TabularSpec | SeriesSpec):
        mixed = torch.where(own.isnan() | other.isnan(), own, mixed)
    if isinstance(spec, TabularSpec) and spec.categories:
        first = len(spec.numbers)
        drawn = generator or torch.default_generator
        kept = uniform(tuple(own[:, first:].shape), drawn, own.device) < share
        categories = torch.where(kept, own[:, first:], other[:, first:])
        mixed = torch.cat([mixed[:, :first], categories], dim=1)
    return mixed


def _mixed(batch: Batch, inputs: dict[str, Tensor], partner: Tensor, weight: Tensor) -> Batch:
    others = {task: y[partner] for task, y in batch.targets.items()}
    return replace(batch, inputs=inputs, mixed_targets=others, mix_weight=weight)


def _is_image(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_floating_point()
