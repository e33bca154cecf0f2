"""Mixing rows of a batch with each other, inputs and targets."""

# λ share of a row's own input and target, (B,);  α parameter of Beta(α, α)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from jlrun.data.batch import Batch
from jlrun.data.image_ops import box_mask, uniform


def mixup(batch: Batch, alpha: float, generator: Generator) -> Batch:
    """Average each row with another one: x̃ = λ x + (1 - λ) x', and the loss likewise.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. Images and waveforms are
    mixed, all with the row's λ; text has no average and stays the row's own. Rows that differ in
    their modalities or labels are not mixed with each other (λ = 1).
    """
    partner, weight = _draw(batch, alpha, generator)
    inputs = {m: _average(x, x[partner], weight) for m, x in batch.inputs.items()}
    return _mixed(batch, inputs, partner, weight)


def cutmix(batch: Batch, alpha: float, generator: Generator) -> Batch:
    """Paste a box of another row's image into each row; λ is the exact share of what is left.

    Eqs. (1) and (2) of Yun et al., "CutMix", ICCV 2019: a box of height H √(1 - λ) and width
    W √(1 - λ) about a uniform centre, cut to the image. Waveforms, and images of another size than
    the first ones, are averaged with the same λ as in `mixup`.
    """
    partner, weight = _draw(batch, alpha, generator)
    first = next((x for x in batch.inputs.values() if _is_image(x)), None)
    if first is None:
        inputs = {m: _average(x, x[partner], weight) for m, x in batch.inputs.items()}
        return _mixed(batch, inputs, partner, weight)
    inside = _cutmix_boxes(weight, first.shape[2], first.shape[3], generator)
    weight = 1 - inside.flatten(1).float().mean(dim=1)

    def mix(x: Tensor) -> Tensor:
        if _is_image(x) and x.shape[2:] == first.shape[2:]:
            return torch.where(inside, x[partner], x)
        return _average(x, x[partner], weight)

    return _mixed(batch, {m: mix(x) for m, x in batch.inputs.items()}, partner, weight)


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


def _average(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    if not own.is_floating_point():
        return own
    share = weight.to(own.dtype).view(-1, *[1] * (own.ndim - 1))
    return other.lerp(own, share)


def _mixed(batch: Batch, inputs: dict[str, Tensor], partner: Tensor, weight: Tensor) -> Batch:
    others = {task: y[partner] for task, y in batch.targets.items()}
    return replace(batch, inputs=inputs, mixed_targets=others, mix_weight=weight)


def _is_image(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_floating_point()
