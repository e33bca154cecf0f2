"""Weighted scores equal the task's metrics on rows that are repeated as often as they count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec

N = 40
TASKS: dict[str, tuple[Task, tuple[str, ...], int]] = {
    "multiclass": (Multiclass(), ("a", "b", "c"), 3),
    "binary": (Binary(), ("no", "yes"), 1),
    "multilabel": (Multilabel(), ("a", "b", "c"), 3),
    "regression": (Regression(), (), 1),
}


def target_of(name: str, generator: torch.Generator) -> torch.Tensor:
    if name == "regression":
        return torch.randn(N, generator=generator).double()
    if name == "multilabel":
        return (torch.rand(N, 3, generator=generator) > 0.6).float()
    return torch.randint(3 if name == "multiclass" else 2, (N,), generator=generator)


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
