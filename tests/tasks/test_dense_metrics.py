"""Scores of dense tasks against the published evaluation, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassJaccardIndex

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.evaluation.scores import Prediction, evaluate, mean_score
from jlrun.tasks import Depth, Segmentation, SurfaceNormals, Task, TaskSpec
from jlrun.tasks.dense_metrics import AngleErrors, SegmentationScores
from jlrun.tasks.objective import Objective
from tests.toy import toy_stream

ROWS, K = 20, 4
CLASSES = tuple("abcd")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scored(task: Task, logits: Tensor, target: Tensor) -> dict[str, float]:
    """Scores of given logits, evaluated in batches of 8."""
    objective = Objective("y", "dataset", TaskSpec("y", task, CLASSES), "y")
    x = torch.arange(len(target)).float()[:, None].expand(-1, 4)

    def predict(batch: Batch, objectives: list[Objective]) -> list[Prediction]:
        own = logits[batch.inputs["x"][:, 0].long()]
        return [Prediction.of(task, own)]

    stream = toy_stream(rows=TensorRows({"x": x}, {"y": target}))
    return evaluate(predict, [objective], {"dataset": stream})["y"]  # pyright: ignore[reportArgumentType]


def enlarged(logits: Tensor, size: tuple[int, int]) -> np.ndarray:
    return F.interpolate(logits, size, mode="bilinear", align_corners=True).double().numpy()


def test_segmentation() -> None:
    logits = 3 * torch.randn(ROWS, K, 3, 4, generator=generator())
    target = torch.randint(-1, K, (ROWS, 9, 13), generator=generator(1))
    found = scored(Segmentation(), logits, target)
    predicted, true = enlarged(logits, (9, 13)).argmax(1), target.numpy()
    counts = np.zeros((K, K))
    for p, t in zip(predicted.ravel(), true.ravel(), strict=True):
        if t >= 0:
            counts[t, p] += 1
    hits = np.diag(counts)
    iou = hits / (counts.sum(1) + counts.sum(0) - hits)
    assert found["miou"] == pytest.approx(iou.mean(), rel=1e-6)
    assert found["pixel_accuracy"] == pytest.approx(hits.sum() / counts.sum(), rel=1e-6)
    library = MulticlassJaccardIndex(K, ignore_index=-1)
    library.update(torch.from_numpy(predicted), target)
    assert found["miou"] == pytest.approx(float(library.compute()), rel=1e-6)


def test_a_class_that_neither_occurs_nor_is_predicted_is_left_out() -> None:
    target = torch.tensor([0, 1]).view(1, 1, 2)
    logits = torch.tensor([[5.0, 0, 0, 0], [5.0, 0, 0, 0]]).T.view(1, K, 1, 2)
    assert scored(Segmentation(), logits, target)["miou"] == pytest.approx((0.5 + 0) / 2)


def test_far_too_certain_probabilities_still_have_a_largest_one() -> None:
    target = torch.tensor([0, 0, 1]).view(1, 1, 3)
    logits = torch.tensor([[900.0, 0, -900, 0], [0, 800.0, 0, 0]]).T.view(1, K, 1, 2)
    assert scored(Segmentation(), logits, target)["pixel_accuracy"] == 1


def test_depth() -> None:
    logits = 3 * torch.rand(ROWS, 1, 3, 4, generator=generator())
    target = (3 * torch.rand(ROWS, 9, 13, generator=generator(1)) - 0.5).clamp(min=0)
    found = scored(Depth(), logits, target)
    p, d = enlarged(logits, (9, 13))[:, 0], target.double().numpy()
    p, d = p[d > 0], d[d > 0]
    assert 0 < len(d) < target.numel()
    assert found["abs_err"] == pytest.approx(np.abs(p - d).mean(), rel=1e-5)
    assert found["rel_err"] == pytest.approx((np.abs(p - d) / d).mean(), rel=1e-5)
    within = np.maximum(p / d, d / p) < 1.25
    assert found["within_1.25"] == pytest.approx(within.mean(), abs=1e-3)


def test_surface_normals() -> None:
    logits = torch.randn(ROWS, 3, 3, 4, generator=generator())
    noise = torch.randn(ROWS, 3, 9, 13, generator=generator(1))
    target = F.normalize(torch.from_numpy(enlarged(logits, (9, 13))).float() + 0.3 * noise, dim=1)
    target[:, :, :2] = 0
    found = scored(SurfaceNormals(), logits, target)
    p, t = enlarged(logits, (9, 13)), target.double().numpy()
    p = p / np.linalg.norm(p, axis=1, keepdims=True)
    cosine = (p * t).sum(1)[np.abs(t).sum(1) != 0]
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    assert found["mean_angle"] == pytest.approx(angle.mean(), rel=1e-4)
    assert found["median_angle"] == pytest.approx(np.median(angle), abs=2e-3)
    for limit in ("11.25", "22.5", "30"):
        share = (angle < float(limit)).mean()
        assert 0.05 < share < 0.95
        assert found[f"within_{limit}"] == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("degrees", [[0.0], [180.0], [10, 20], [10, 20, 30], [40, 10, 30, 20]])
def test_median_angle(degrees: list[float]) -> None:
    angle = torch.tensor(degrees).deg2rad()
    predicted = torch.stack([angle.cos(), angle.sin(), 0 * angle]).view(1, 3, 1, -1)
    metric = AngleErrors()
    metric.update(predicted, torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand_as(predicted))
    assert float(metric.compute()["median_angle"]) == pytest.approx(np.median(degrees), abs=1e-2)


@pytest.mark.parametrize("task", [Segmentation(), Depth(), SurfaceNormals()])
def test_every_compared_metric_is_scored(task: Task) -> None:
    logits = torch.rand(8, task.num_outputs(CLASSES), 3, 4, generator=generator())
    target = {
        Segmentation: torch.zeros(8, 3, 4, dtype=torch.long),
        Depth: torch.ones(8, 3, 4),
        SurfaceNormals: torch.ones(8, 3, 3, 4) / 3**0.5,
    }[type(task)]
    assert {*task.compared, task.primary, "loss"} <= scored(task, logits, target).keys()


def test_a_primary_metric_of_which_less_is_better_counts_with_a_minus() -> None:
    class InMetres(Depth):
        primary = "abs_err"

    objectives = [
        Objective("a", "dataset", TaskSpec("a", Segmentation(), CLASSES), "a"),
        Objective("b", "dataset", TaskSpec("b", InMetres(), ()), "b"),
    ]
    scores = {"a": {"miou": 0.5}, "b": {"abs_err": 0.3}}
    assert mean_score(scores, objectives) == pytest.approx(0.1)


def test_maps_that_are_no_number_have_no_score() -> None:
    p = torch.full((1, 2, 2, 2), 0.5)
    p[0, 0, 0, 0] = torch.nan
    scores = SegmentationScores(2)
    scores.update(p, torch.zeros(1, 2, 2, dtype=torch.long))
    assert all(value.isnan() for value in scores.compute().values())
    angles = AngleErrors()
    up = torch.tensor([0.0, 0.0, 1.0])[None, :, None, None].expand(1, 3, 2, 2)
    angles.update(torch.where(p[:, :1].isnan(), torch.nan, up), up)
    found = angles.compute()
    assert found["mean_angle"].isnan()
    assert found["median_angle"].isnan()
