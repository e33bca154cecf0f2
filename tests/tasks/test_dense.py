"""Losses of dense tasks against the published formulas, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.tasks import Binary, Depth, Multiclass, Regression, Segmentation, SurfaceNormals, Task
from jlrun.tasks.maps import upsample

K = 4
CLASSES = tuple("abcd")
DENSE: list[Task] = [Segmentation(), Depth(), SurfaceNormals()]
each = pytest.mark.parametrize("task", DENSE, ids=lambda task: type(task).__name__)


def draw(task: Task, rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits of the targets' size, and targets with about a third of the pixels missing."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, task.num_outputs(CLASSES), 6, 8, generator=generator)
    share = 0.7 * torch.rand(rows, 1, 1, generator=generator)
    missing = torch.rand(rows, 6, 8, generator=generator) < share
    if isinstance(task, Segmentation):
        target = torch.randint(0, K, (rows, 6, 8), generator=generator)
        return logits, target.masked_fill(missing, -1)
    if isinstance(task, Depth):
        return logits, (5 * torch.rand(rows, 6, 8, generator=generator)).masked_fill(missing, 0)
    target = torch.nn.functional.normalize(torch.randn(rows, 3, 6, 8, generator=generator), dim=1)
    return logits, target.masked_fill(missing[:, None], 0)


def published(task: Task, logits: Tensor, target: Tensor) -> float:
    """The mean over all valid pixels of a batch, pixel by pixel."""
    x, y, errors = logits.double().numpy(), target.double().numpy(), []
    for b, i, j in np.ndindex(len(x), *x.shape[2:]):
        v = x[b, :, i, j]
        match task:
            case Segmentation():
                if y[b, i, j] >= 0:
                    errors.append(np.log(np.exp(v).sum()) - v[int(y[b, i, j])])
            case Depth():
                if y[b, i, j] != 0:
                    errors.append(abs(v[0] - y[b, i, j]))
            case _:
                if y[b, :, i, j].any():
                    errors.append(1 - v @ y[b, :, i, j] / np.linalg.norm(v))
    return float(np.mean(errors))


@each
def test_mean_loss_is_that_over_all_valid_pixels(task: Task) -> None:
    logits, target = draw(task, 3)
    losses = task.loss(logits, target)
    assert losses.shape == (3,)
    assert float(losses.mean()) == pytest.approx(published(task, logits, target), rel=1e-5)


@each
def test_a_row_without_valid_pixels_changes_nothing(task: Task) -> None:
    logits, target = draw(task, 3)
    empty = torch.full_like(target[:1], -1 if isinstance(task, Segmentation) else 0)
    more = torch.cat([logits, torch.randn(1, *logits.shape[1:])]).requires_grad_()
    losses = task.loss(more, torch.cat([target, empty]))
    assert float(losses[3].detach()) == 0
    torch.testing.assert_close(losses.mean(), task.loss(logits, target).mean())
    (gradient,) = torch.autograd.grad(losses.mean(), more)
    assert not gradient[3].any()
    assert gradient[:3].any()


@each
def test_without_any_valid_pixel_loss_and_gradient_are_zero(task: Task) -> None:
    logits, target = draw(task, 2)
    empty = torch.full_like(target, 255 if isinstance(task, Segmentation) else 0)
    logits.requires_grad_()
    losses = task.loss(logits, empty)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.tolist() == [0, 0]
    assert not gradient.any()


@each
def test_a_batch_without_rows_has_no_losses(task: Task) -> None:
    logits, target = draw(task, 2)
    assert task.loss(logits[:0, :, ::2, ::2], target[:0]).shape == (0,)


@each
def test_logits_are_brought_to_the_size_of_the_target(task: Task) -> None:
    logits, target = draw(task, 2)
    small = logits[:, :, ::3, ::3]
    large = torch.nn.functional.interpolate(small, (6, 8), mode="bilinear", align_corners=True)
    torch.testing.assert_close(task.loss(small, target), task.loss(large, target))


def test_upsampling_is_linear_between_aligned_corners() -> None:
    found = upsample(torch.tensor([[[[0.0, 3.0]]]]), torch.Size([2, 4]))
    torch.testing.assert_close(found[0, 0], torch.tensor([[0.0, 1, 2, 3]]).expand(2, 4))


def test_either_mark_of_unlabelled_pixels_is_ignored() -> None:
    logits, target = draw(Segmentation(), 2)
    marked = target.masked_fill(target < 0, 255).to(torch.uint8)
    torch.testing.assert_close(
        Segmentation().loss(logits, marked), Segmentation().loss(logits, target)
    )


@each
def test_predictions_are_of_the_form_of_the_target(task: Task) -> None:
    logits, target = draw(task, 2)
    assert task.decide(task.probabilities(logits)).shape == target.shape


@each
def test_logits_that_are_no_maps_are_told(task: Task) -> None:
    _, target = draw(task, 2)
    with pytest.raises(UserError, match="backbone/image=dilated_resnet heads=aspp"):
        task.loss(torch.zeros(2, task.num_outputs(CLASSES)), target)


@pytest.mark.parametrize("task", [Multiclass(), Binary(), Regression()])
def test_maps_for_a_task_with_one_target_per_row_are_told(task: Task) -> None:
    with pytest.raises(UserError, match="heads=linear"):
        task.loss(torch.zeros(2, 3, 4, 4), torch.zeros(2))


@pytest.mark.parametrize(
    ("task", "targets", "complaint"),
    [
        (Segmentation(), torch.tensor([[[0, 4], [-1, 255]]]), "1 pixel labelled outside 0..3"),
        (Segmentation(), torch.zeros(2, 3), "expected integer maps"),
        (Depth(), torch.zeros(2, 1, 3, 3), "expected maps (rows, height, width)"),
        (Depth(), torch.full((1, 2, 2), torch.nan), "finite"),
        (SurfaceNormals(), torch.zeros(2, 3, 3), "expected maps (rows, 3, height, width)"),
    ],
)
def test_targets_of_another_form_are_told(task: Task, targets: Tensor, complaint: str) -> None:
    assert complaint in task.invalid(targets, CLASSES)


@each
def test_targets_that_are_right_or_read_later_are_not_complained_of(task: Task) -> None:
    assert task.invalid(draw(task, 2)[1], CLASSES) == ""
    assert task.invalid(torch.empty(5, 0), CLASSES) == ""
