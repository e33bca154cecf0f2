"""FixMatch: consistent predictions under strong augmentation."""

# q predictions on weakly augmented rows of the target, p on the strongly augmented ones, τ
# threshold, θ̄ weights of the teacher, θ of the model, t steps so far, d_t decay

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from jlrun.data.augmentation.image_ops import affine, box_mask, uniform
from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.adaptation.domains import target_class_heads
from jlrun.objective.terms.base import TARGET, Need, PhaseStart, StepView, Term, precise, total
from jlrun.objective.terms.transfer.frozen import FrozenModel
from jlrun.ranges import Fraction, NonNegativeFloat, Probability
from jlrun.tasks.classification import class_log_probabilities

_CHANGES = 2  # per image
_LARGEST_FACTOR = 0.9  # of contrast and saturation, from 1
_LARGEST_BRIGHTNESS = 0.4  # share of the range of values
_LARGEST_ROTATION = 30.0  # degrees
_LARGEST_SHIFT = 0.3  # share of the side
_CUTOUT = 0.5  # side of the square, as a share of the image's

# images (B, C, H, W), magnitudes in [−1, 1) (B, 1, 1, 1), generator -> images
Change = Callable[[Tensor, Tensor, Generator], Tensor]


class FixMatch(Term):
    """R = Σ_heads mean over the target's rows of 1[max q ≥ τ] · CE(p, argmax q).

    Eq. (4) of Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
    Confidence", NeurIPS 2020. The weak augmentation is that of the target's stream, the strong one
    `strongly_augmented`. Differs from it in: the unlabelled rows are the target's alone, the
    strong ones pass through the model on their own, and q may be a slow teacher's. The heads
    are those of the target with exclusive classes. It takes another forward pass over the target.

    Args:
        weight: strength α of the term.
        threshold: τ.
        teacher: whether q is of an average of the model's weights.
        decay: of that average, per step.
    """

    needs: ClassVar[Need | None] = "target"

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        threshold: Probability = 0.95,
        teacher: bool = False,
        decay: Fraction = 0.999,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.threshold = threshold
        self.decay = decay
        self.has_teacher = teacher
        self.teacher: MeanTeacher | None = None
        self._heads: tuple[str, ...] = ()

    def begin_phase(self, start: PhaseStart) -> None:
        """Copy the model for the teacher.

        Raises:
            UserError: if the target has no images, or inputs that are not images, or no head with
                exclusive classes.
        """
        self._heads = target_class_heads(start, "fixmatch")
        _check_images(start)
        if self.has_teacher:
            self.teacher = MeanTeacher(start.model, self.decay)

    def forward(self, view: StepView) -> Tensor:
        losses = self._losses(view) if TARGET in view.outputs else ()
        return precise(total(losses, view))

    def _losses(self, view: StepView) -> Iterator[Tensor]:
        batch = view.batches[TARGET]
        heads = [head for head in self._heads if head in view.outputs[TARGET].logits]
        if not heads or not batch.size:
            return
        weak = self._weak_logits(view, heads)
        strong: Mapping[str, Tensor] = view.model(_strong(batch), heads).logits
        for head in heads:
            task = view.tasks[head]
            q, label = class_log_probabilities(task, weak[head].detach()).exp().max(dim=1)
            log_p = class_log_probabilities(task, strong[head])
            yield ((q >= self.threshold) * F.nll_loss(log_p, label, reduction="none")).mean()

    def _weak_logits(self, view: StepView, heads: list[str]) -> Mapping[str, Tensor]:
        if self.teacher is None:
            return view.outputs[TARGET].logits
        return self.teacher(view.batches[TARGET], heads)

    def after_step(self, model: nn.Module, progress: float) -> None:
        if self.teacher is not None:
            self.teacher.follow(model)


def _strong(batch: Batch) -> Batch:
    """Return the batch without labels and views, its images strongly augmented."""
    changed = {m: strongly_augmented(x, torch.default_generator) for m, x in batch.inputs.items()}
    return replace(batch.without_labels(), inputs=changed, views=())


def _check_images(start: PhaseStart) -> None:
    inputs = next(iter(start.streams[TARGET].sweep(batch_size=1))).inputs
    others = [name for name, x in inputs.items() if x.ndim != 4 or not x.is_floating_point()]
    if others:
        raise UserError.of(
            "terms.fixmatch",
            f"the target's inputs {', '.join(others)} are no images, and its strong augmentation "
            "is for images alone; leave it out, or choose mcc or entropy",
        )


class MeanTeacher(nn.Module):
    """Predictions of the weights θ̄ ← d_t θ̄ + (1 − d_t) θ, with d_t = min(decay, 1 − 1 / (t + 1)).

    The mean teacher of Tarvainen & Valpola, "Mean Teachers Are Better Role Models", NeurIPS 2017,
    section 2. Differs from it in: it is in evaluation mode, with the running statistics of the
    model. The weights of the phase's start are gone after the first step.

    Args:
        model: to follow.
        decay: largest d_t.
    """

    steps: Tensor

    def __init__(self, model: JointModel, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.copy = FrozenModel(model)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Average in the model's weights after a step; buffers are copied."""
        keep = min(self.decay, 1 - 1 / (int(self.steps) + 1))
        self.steps += 1
        own, followed = self.copy.model, model
        for old, new in zip(own.parameters(), followed.parameters(), strict=True):
            old.lerp_(new, 1 - keep)
        for old, new in zip(own.buffers(), followed.buffers(), strict=True):
            old.copy_(new)

    def forward(self, batch: Batch, heads: Collection[str]) -> Mapping[str, Tensor]:
        """Return head -> logits, without a graph."""
        return self.copy(batch, heads).logits


@torch.no_grad()
def strongly_augmented(images: Tensor, generator: Generator) -> Tensor:
    """Return images ``(B, C, H, W)`` with two changes each, and a square cut out.

    After RandAugment (Cubuk et al., 2020) as FixMatch uses it, then Cutout (DeVries & Taylor,
    2017). Differs from it in: the changes are brightness, contrast, saturation (of three channels),
    rotation, shifts and none, with FixMatch's ranges where an operation is the same; there are no
    mirror images, which letters and digits don't survive. The normalisation of the inputs need not
    be known: contrast is about each image's own mean, values stay between the extremes of the
    batch, and what is uncovered or cut out is 0, the mean colour.

    Args:
        images: float, normalised.
        generator: source of all randomness.
    """
    dims = (0, 2, 3)
    low, high = images.amin(dims, keepdim=True), images.amax(dims, keepdim=True)
    changed = images
    for _ in range(_CHANGES):
        changed = _some_change(changed, high - low, generator).clamp(low, high)
    return _cut_out(changed, generator)


def _some_change(images: Tensor, spread: Tensor, generator: Generator) -> Tensor:
    changes: tuple[Change, ...] = (_keep, _brighten(spread), _contrast, _saturate, _rotate, _shift)
    rows = len(images)
    # Drawn where the generator lives: the choice of changes needs no transfer from the device.
    kinds = torch.randint(len(changes), (rows,), generator=generator, device=generator.device)
    magnitudes = uniform((rows, 1, 1, 1), generator, images.device).to(images.dtype) * 2 - 1
    result = images.clone()
    for i, change in enumerate(changes):
        chosen = (kinds == i).nonzero().flatten().to(images.device)
        if len(chosen):
            result[chosen] = change(images[chosen], magnitudes[chosen], generator)
    return result


def _keep(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return images


def _brighten(spread: Tensor) -> Change:
    def change(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
        return images + _LARGEST_BRIGHTNESS * magnitudes * spread

    return change


def _contrast(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (1 + _LARGEST_FACTOR * magnitudes) * (images - mean)


def _saturate(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    if images.shape[1] != 3:
        return images
    gray = images.mean(dim=1, keepdim=True)
    return gray + (1 + _LARGEST_FACTOR * magnitudes) * (images - gray)


def _rotate(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return affine(images, 0.0, _LARGEST_ROTATION, generator)


def _shift(images: Tensor, magnitudes: Tensor, generator: Generator) -> Tensor:
    return affine(images, _LARGEST_SHIFT, 0.0, generator)


def _cut_out(images: Tensor, generator: Generator) -> Tensor:
    """Set a square around a random pixel to 0, as far as it is inside."""
    rows, _, height, width = images.shape
    y, x = uniform((2, rows), generator, images.device)
    half = _CUTOUT * min(height, width) / 2
    top, left = (y * height - half).round(), (x * width - half).round()
    inside = box_mask(top, top + 2 * half, left, left + 2 * half, height, width)
    return images.masked_fill(inside, 0)
