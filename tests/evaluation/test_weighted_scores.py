"""Weighted scores equal the task's metrics on rows that are repeated as often as they count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.evaluation.kept_predictions import KeptPredictions
from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.tasks import AllClasses
from jlrun.tasks import (
    Binary,
    Depth,
    Multiclass,
    Multilabel,
    Objective,
    Ordinal,
    Regression,
    Segmentation,
    SurfaceNormals,
    Task,
    TaskSpec,
)

N = 40
SPLIT = ClassSplit(seen=(0, 1, 3), unseen=(2, 4), names=tuple("abcde"))
TASKS: dict[str, tuple[Task, tuple[str, ...], int]] = {
    "multiclass": (Multiclass(), ("a", "b", "c"), 3),
    "binary": (Binary(), ("no", "yes"), 1),
    "multilabel": (Multilabel(), ("a", "b", "c"), 3),
    "regression": (Regression(), (), 1),
    "ordinal": (Ordinal(), ("1", "2", "3"), 2),
    "zero-shot": (AllClasses(SPLIT), tuple("abcde"), 5),
}


def target_of(name: str, generator: torch.Generator) -> torch.Tensor:
    if name == "regression":
        return torch.randn(N, generator=generator).double()
    if name == "multilabel":
        return (torch.rand(N, 3, generator=generator) > 0.6).float()
    return torch.randint(len(TASKS[name][1]), (N,), generator=generator)


def scores_of(task: Task, rows: RowPredictions) -> dict[str, float]:
    ones = np.ones((1, len(rows)))
    return {name: float(f(ones)[0]) for name, f in weighted_scores(task, rows).items()}


@pytest.mark.parametrize("name", TASKS)
def test_rows_that_count_several_times_are_repeated_rows(name: str) -> None:
    task, classes, outputs = TASKS[name]
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(N, outputs, generator=generator).round(decimals=1)  # with ties
    target, counts = target_of(name, generator), torch.randint(4, (N,), generator=generator)
    rows = RowPredictions(task.probabilities(logits.double()), target)
    index = torch.arange(N).repeat_interleave(counts)
    scorer = Scorer(TaskSpec("t", task, classes))
    scorer.update(target[index], Prediction.of(task, logits[index]))
    expected = {k: v for k, v in scorer.compute().items() if k != "loss"}
    found = {k: f(counts[None].double().numpy())[0] for k, f in weighted_scores(task, rows).items()}
    assert found == pytest.approx(expected, rel=1e-9)


def test_without_a_positive_row_the_area_is_undefined() -> None:
    rows = RowPredictions(torch.tensor([[0.3, 0.7], [0.6, 0.4]]), torch.tensor([1, 0]))
    found = weighted_scores(Binary(), rows)
    assert np.isnan(found["auroc"](np.array([[0.0, 2.0]]))).all()
    assert found["auroc"](np.array([[1.0, 1.0]])) == 1


MAPS: dict[str, tuple[Task, int, torch.Tensor]] = {
    "segmentation": (Segmentation(), 3, torch.randint(-1, 3, (6, 8, 8))),
    "depth": (Depth(), 1, torch.rand(6, 8, 8) - 0.2),
    "normals": (SurfaceNormals(), 3, F.normalize(torch.randn(6, 3, 8, 8), dim=1)),
}


@pytest.mark.parametrize("name", MAPS)
def test_images_that_count_several_times_are_repeated_images(name: str) -> None:
    task, outputs, target = MAPS[name]
    target[2] = 0  # an image without valid pixels, but for segmentation
    logits = torch.randn(6, outputs, 4, 4).exp()
    spec = TaskSpec("t", task, ("a", "b", "c"))
    kept, counts = KeptPredictions(), torch.tensor([2, 0, 1, 3, 1, 1])
    for part in (slice(0, 4), slice(4, 6)):
        batch = Batch({}, {"t": target[part]})
        kept.see(Objective("t", "s", spec, "t"), batch, task.probabilities(logits[part]))
    rows = kept.by_task()["t"]
    index = torch.arange(6).repeat_interleave(counts)
    scorer = Scorer(spec)
    scorer.update(target[index], Prediction.of(task, logits[index]))
    expected = {k: v for k, v in scorer.compute().items() if k != "loss"}
    found = {k: f(counts[None].double().numpy())[0] for k, f in weighted_scores(task, rows).items()}
    # A median is off by a part of a bin where pixels are as few as here.
    assert found.pop("median_angle", 0) == pytest.approx(expected.pop("median_angle", 0), abs=0.25)
    assert found == pytest.approx(expected, rel=1e-6)
    assert rows.same_rows_as(rows)


def test_predictions_that_are_no_numbers_have_no_scores() -> None:
    for task, outputs, target in MAPS.values():
        sums = task.image_sums(torch.full((6, outputs, 4, 4), torch.nan), target)
        assert sums is not None
        assert not weighted_scores(task, RowPredictions(sums, torch.zeros(6)))
