"""Every metric against scikit-learn and SciPy in float64, on rows of any kind, cut anywhere.

``JLRUN_EXAMPLES`` sets the number of examples of each test.
"""

import math
import os
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as oracle
from torch import Tensor

from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from jlrun.tasks.metrics.class_counts import ClassCounts

SHIFTS = (0.0, -3.0, 2015.0, 1e4, 1e6, 1.7e9, -1e12)
SCALES = (1e-9, 1e-4, 1e-3, 1.0, 100.0, 1e3, 1e9)
SIZES = (0.01, 1.0, 20.0, 300.0)  # of logits: from undecided to beyond what exp can hold

examples = settings(
    max_examples=int(os.environ.get("JLRUN_EXAMPLES", "50")),
    deadline=None,
    database=None,
    derandomize="JLRUN_EXAMPLES" not in os.environ,
)
seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 60)


def scored(task: Task, classes: int, logits: Tensor, target: Tensor, cuts: int) -> dict[str, float]:
    """Scores of batches whose borders ``cuts`` decides."""
    scorer = Scorer(TaskSpec("t", task, tuple(map(str, range(classes)))))
    rng = np.random.default_rng(cuts)
    borders = np.unique(rng.integers(1, len(target) + 1, rng.integers(0, 5))).tolist()
    for rows in torch.arange(len(target)).tensor_split(borders):
        if len(rows):
            scorer.update(target[rows], Prediction.of(task, logits[rows]))
    return scorer.compute()


def drawn_logits(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Tensor:
    """Logits, a half of them on a coarse grid, and a third of the rows alike."""
    z = rng.normal(size=shape) * size
    z = np.where(rng.random(shape) < 0.5, z, np.round(z / size) * size)
    same = rng.random(shape[0]) < 1 / 3
    z[same] = z[0]
    return torch.tensor(z, dtype=torch.float32)


def quiet_f1(y: np.ndarray, p: np.ndarray, average: str | None, **labels: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return oracle.f1_score(y, p, average=average, zero_division=0.0, **labels)  # pyright: ignore


def expected_auroc(y: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the columns in which both kinds of rows occur."""
    columns = [c for c in range(y.shape[1]) if 0 < y[:, c].sum() < len(y)]
    each = [oracle.roc_auc_score(y[:, c], scores[:, c]) for c in columns]
    return float(np.mean(each)) if each else math.nan


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    del found["loss"]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


@examples
@given(seeds, counts, st.integers(2, 6), st.sampled_from(SIZES), seeds)
def test_exclusive_classes(seed: int, rows: int, classes: int, size: float, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    occurring = rng.choice(classes, rng.integers(1, classes + 1), replace=False)
    y, logits = rng.choice(occurring, rows), drawn_logits(rng, (rows, classes), size)
    odds = Multiclass().log_odds(logits.double())
    assert odds is not None
    predicted = logits.double().argmax(1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of predicted classes that do not occur
        balanced = oracle.balanced_accuracy_score(y, predicted)
    expected = {
        "accuracy": oracle.accuracy_score(y, predicted),
        "mean_class_accuracy": balanced,
        "macro_f1": quiet_f1(y, predicted, "macro"),
        "weighted_f1": quiet_f1(y, predicted, "weighted"),
        "auroc": expected_auroc(np.eye(classes)[y], odds.numpy()),
    }
    same(scored(Multiclass(), classes, logits, torch.tensor(y), cuts), expected)


@examples
@given(seeds, counts, st.sampled_from(SIZES), st.sampled_from((0.0, 0.1, 0.5, 1.0)), seeds)
def test_two_classes(seed: int, rows: int, size: float, share: float, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    y, logits = (rng.random(rows) < share).astype(int), drawn_logits(rng, (rows, 1), size)
    z = logits[:, 0].double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = oracle.balanced_accuracy_score(y, z > 0)
    expected = {
        "accuracy": oracle.accuracy_score(y, z > 0),
        "mean_class_accuracy": balanced,
        "macro_f1": quiet_f1(y, z > 0, "macro"),
        "weighted_f1": quiet_f1(y, z > 0, "weighted"),
        "auroc": expected_auroc(y[:, None], z[:, None]),
    }
    same(scored(Binary(), 2, logits, torch.tensor(y), cuts), expected)


@examples
@given(seeds, counts, st.integers(2, 5), st.sampled_from(SIZES), seeds)
def test_labels(seed: int, rows: int, labels: int, size: float, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.choice([0.0, 0.2, 0.5, 1.0], labels)
    y = (rng.random((rows, labels)) < shares).astype(int)
    logits = drawn_logits(rng, (rows, labels), size)
    found = logits.double().numpy() > 0
    occur = y.any(axis=0)
    f1 = np.atleast_1d(quiet_f1(y, found, None))
    expected = {
        "accuracy": float((found == y).mean()),
        "macro_f1": float(f1[occur].mean()) if occur.any() else math.nan,
        "weighted_f1": quiet_f1(y, found, "weighted") if occur.any() else math.nan,
        "auroc": expected_auroc(y, logits.double().numpy()),
    }
    if not occur.all():
        expected["labels_left_out"] = float((~occur).sum())
    same(scored(Multilabel(), labels, logits, torch.tensor(y).float(), cuts), expected)


@examples
@given(seeds, counts, st.integers(2, 6))
def test_each_class(seed: int, rows: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, classes, (2, rows))
    found = ClassCounts.of_classes(torch.tensor(p), torch.tensor(y), classes)
    by_name = found.by_name([str(c) for c in range(classes)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = oracle.precision_recall_fscore_support(
            y, p, labels=list(range(classes)), zero_division=np.nan
        )
    for c, row in enumerate(zip(*columns, strict=True)):
        assert list(by_name[str(c)].values()) == pytest.approx(list(row), nan_ok=True)


@examples
@given(seeds, counts, st.sampled_from(SHIFTS), st.sampled_from(SCALES), st.booleans(), seeds)
def test_numbers(seed: int, rows: int, shift: float, scale: float, coarse: bool, cuts: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows) * rng.choice([0.0, 1.0])
    z = np.round(z) if coarse else z
    y = shift + scale * z
    logits = torch.tensor(z + rng.choice([0.0, 0.3, 2.0]) * rng.normal(size=rows)).float()[:, None]
    task = Regression().in_units(shift, scale)
    p = logits[:, 0].double().numpy() * scale + shift
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranks = float(spearmanr(y, p).statistic) if rows > 1 else math.nan
    expected = {
        "mae": oracle.mean_absolute_error(y, p),
        "rmse": oracle.root_mean_squared_error(y, p),
        "median_error": oracle.median_absolute_error(y, p),
        "spearman": ranks,
    }
    found = scored(task, 0, logits, torch.tensor(y), cuts)
    assert np.isfinite(found.pop("loss"))
    assert found.pop("r2") == pytest.approx(exact_r2(y, p), rel=1e-9, abs=1e-9, nan_ok=True)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300, nan_ok=True)


def exact_r2(y: np.ndarray, p: np.ndarray) -> float:
    """R² without rounding, and 1 or 0 of constant targets as in scikit-learn."""
    if len(y) < 2:
        return math.nan
    true, found = ([Fraction(float(v)) for v in values] for values in (y, p))
    mean = sum(true) / len(true)
    total = sum((v - mean) ** 2 for v in true)
    residual = sum((v - w) ** 2 for v, w in zip(true, found, strict=True))
    if total == 0:
        return float(residual == 0)
    return float(1 - residual / total)


@examples
@given(seeds, counts, st.floats(-1, 1))
def test_r2_is_that_of_scikit_learn_where_it_is_well_conditioned(
    seed: int, rows: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.normal(size=(2, rows + 2)) + shift
    found = scored(Regression(), 0, torch.tensor(p)[:, None], torch.tensor(y), seed)
    assert found["r2"] == pytest.approx(oracle.r2_score(y, p), rel=1e-9)
