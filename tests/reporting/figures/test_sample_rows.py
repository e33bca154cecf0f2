"""Which rows stand for a task: all classes, the whole range of numbers, the worst mistakes."""

from __future__ import annotations

import torch

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.reporting.figures.sample_rows import (
    NUM_SAMPLES,
    NUM_WORST,
    described,
    sampled,
    worst,
)
from jlrun.runs.row_figures import confusion_matrix
from jlrun.tasks import Multiclass, Multilabel, Regression, TaskSpec

COLOURS = TaskSpec("colour", Multiclass(), ("red", "green", "blue"))
PRICE = TaskSpec("price", Regression(), ())


def of_classes(*rows: tuple[int, int, float]) -> RowPredictions:
    """Rows of (true class, decided class, its probability)."""
    target = torch.tensor([true for true, _, _ in rows])
    p = torch.zeros(len(rows), 3, dtype=torch.float64)
    for i, (_, guess, sure) in enumerate(rows):
        p[i] = (1 - sure) / 2
        p[i, guess] = sure
    return RowPredictions(p, target)


def test_samples_cover_the_classes_even_of_sorted_rows() -> None:
    rows = of_classes(*[(c, c, 0.9) for c in (0, 1, 2) for _ in range(200)])
    at, _ = sampled(COLOURS, rows)
    assert len(at) == NUM_SAMPLES
    counts = torch.bincount(rows.target[at])
    assert counts.tolist() == [6, 5, 5]
    assert at[:2].tolist() == [0, 1]


def test_a_rare_class_is_among_them() -> None:
    rows = of_classes(*[(0, 0, 0.9)] * 50, (1, 0, 0.9))
    at, _ = sampled(COLOURS, rows)
    assert 50 in at.tolist()


def test_the_worst_mistakes_are_those_that_are_surest() -> None:
    rows = of_classes((0, 0, 0.99), (1, 0, 0.6), (2, 1, 0.9), (1, 1, 0.5))
    at, _ = worst(COLOURS, rows)
    assert at.tolist() == [2, 1]
    samples = described(COLOURS, rows, at, ["a", "b"])
    assert [(s.true, s.predicted, s.correct) for s in samples] == [
        ("blue", "green", False),
        ("green", "red", False),
    ]
    assert samples[0].probability == 0.9


def test_without_mistakes_there_are_none() -> None:
    assert not len(worst(COLOURS, of_classes((0, 0, 0.9)))[0])


def test_numbers_are_spread_from_the_smallest_to_the_largest() -> None:
    target = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0] * 10)
    rows = RowPredictions((target + torch.arange(50) / 100)[:, None].double(), target)
    at, _ = sampled(PRICE, rows)
    assert rows.target[at].tolist() == sorted(rows.target[at].tolist())
    assert {1.0, 5.0} <= set(rows.target[at].tolist())
    assert worst(PRICE, rows)[0].tolist() == list(range(49, 49 - NUM_WORST, -1))
    (sample,) = described(PRICE, rows, torch.tensor([0]), ["a"])
    assert (sample.true, sample.predicted, sample.correct) == ("5.00", "5.00", None)


def test_rows_without_a_prediction_are_left_out() -> None:
    rows = of_classes((0, 0, 0.9), (1, 0, 0.9))
    rows.probabilities[1] = torch.nan
    assert sampled(COLOURS, rows)[0].tolist() == [0]
    assert worst(COLOURS, rows)[0].tolist() == []


def test_labels_are_ranked_by_how_many_are_wrong() -> None:
    spec = TaskSpec("tags", Multilabel(), ("a", "b", "c"))
    target = torch.tensor([[1.0, 0, 0], [1, 1, 1], [0, 0, 0]])
    p = torch.tensor([[0.9, 0.1, 0.9], [0.1, 0.1, 0.9], [0.1, 0.1, 0.1]], dtype=torch.float64)
    rows = RowPredictions(p, target)
    assert worst(spec, rows)[0].tolist() == [1, 0]
    found = described(spec, rows, torch.tensor([0, 2]), ["x", "y"])
    assert [(s.true, s.predicted) for s in found] == [("a", "a, c"), ("none", "none")]


def test_confusions_equal_scikit_learns() -> None:
    from sklearn.metrics import confusion_matrix as oracle

    rows = of_classes((0, 0, 0.9), (0, 2, 0.8), (1, 0, 0.7), (2, 2, 0.6), (2, 1, 0.6))
    true, guess = rows.target, rows.probabilities.argmax(dim=1)
    expected = oracle(true.numpy(), guess.numpy())
    assert confusion_matrix(COLOURS, rows).tolist() == expected.tolist()
