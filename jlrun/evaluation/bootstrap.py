"""Bootstrap over test rows: intervals of scores, and errors of paired differences."""

# N rows, R resamples

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
from scipy.special import stdtrit  # scipy.stats takes most of a second to import

from jlrun.evaluation.score_scales import SHARE, scale_of_score
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.evaluation.weighted_sums import Weighted
from jlrun.seeding import derive_seed
from jlrun.tasks import Task

# task, predictions, seed -> metric -> its value in each resample
Resample = Callable[[Task, RowPredictions, int], dict[str, np.ndarray]]
Kind = Literal["won", "same", "noise", "lost"]
LEVEL = 0.95
RESAMPLES = 1000
FEWEST = 200  # resamples of very large splits, where each is close to the others
_WORK = 100_000_000  # rows · resamples
_CELLS = 2_000_000  # numbers of a block of resamples
_DEFINED = 0.9  # share of the resamples that must define a metric


def resamples(num_rows: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks of ``w`` ``(·, N)``: how often each row was drawn, with replacement.

    Rows are drawn from all rows alike, not from each class: which classes a test split holds, and
    how many rows of each, varies with the sample too, and belongs to the error of an accuracy.
    """
    count = max(FEWEST, min(RESAMPLES, _WORK // num_rows))
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", num_rows))
    block = max(1, _CELLS // num_rows)
    for start in range(0, count, block):
        size = min(block, count - start)
        drawn = generator.integers(num_rows, size=(size, num_rows))
        drawn += num_rows * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_rows)
        yield counts.reshape(size, num_rows).astype(float)


def resampled(task: Task, rows: RowPredictions, seed: int) -> dict[str, np.ndarray]:
    """Return metric -> its value in each resample, ``(R,)``.

    Predictions of the same number of rows are resampled alike, so that differences are paired.
    """
    return resampled_values(weighted_scores(task, rows), len(rows), seed)


def resampled_values(
    functions: Mapping[str, Weighted], num_rows: int, seed: int
) -> dict[str, np.ndarray]:
    """Return name -> the value of each function of ``w`` in each resample, ``(R,)``."""
    if not functions or num_rows < 2:
        return {}
    blocks = [{name: f(w) for name, f in functions.items()} for w in resamples(num_rows, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in functions}


class Resampled:
    """`resampled`, computed once for each object of predictions."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[RowPredictions, dict[str, np.ndarray]]] = {}

    def __call__(self, task: Task, rows: RowPredictions, seed: int) -> dict[str, np.ndarray]:
        if id(rows) not in self._found:  # kept with the predictions, so that the id stays theirs
            self._found[id(rows)] = rows, resampled(task, rows, seed)
        return self._found[id(rows)][1]


def intervals(
    functions: Mapping[str, Weighted], num_rows: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return metric -> its 95 % interval, of those of the functions of ``w`` that have one."""
    values = resampled_values(functions, num_rows, seed)
    once = np.ones((1, num_rows))
    found = {
        metric: interval(metric, float(functions[metric](once)[0]), each, num_rows)
        for metric, each in values.items()
    }
    return {metric: ends for metric, ends in found.items() if ends is not None}


def interval(
    metric: str, score: float, values: np.ndarray, num_rows: int
) -> tuple[float, float] | None:
    """Return the 95 % interval of a score from its values in the resamples.

    g⁻¹(g(s) ± t g'(s) σ) for the standard error σ, Student's t and the scale g of the metric
    (`scale_of_score`): the logit of shares, the logarithm of errors, Fisher's z of correlations,
    ln (1 − R²). It stays in the range of the score. Quantiles of resamples hold the true score less
    often with few rows, since resamples are biased once more where the score is
    (`benchmarks/results/intervals.md`). A share of 0 or 1 in all resamples has the interval of
    Clopper and Pearson ("The Use of Confidence or Fiducial Limits", Biometrika 1934).

    Args:
        metric: its name.
        score: s, of the rows.
        values: of the resamples, ``(R,)``.
        num_rows: of the split.

    Returns:
        None where one resample in ten or more does not define the score, or it is at an end of its
        range otherwise.
    """
    scale, error = scale_of_score(metric), standard_error(values, num_rows)
    if error is None or not math.isfinite(score):
        return None
    if scale is SHARE and error == 0 and score in (0, 1):
        end = ((1 - LEVEL) / 2) ** (1 / num_rows)
        return (end, 1.0) if score else (0.0, 1 - end)
    if not scale.low < score < scale.high:
        return None
    middle, half = scale.to(score), critical(num_rows) * scale.slope(score) * error
    return scale.back(middle - half), scale.back(middle + half)


def standard_error(values: np.ndarray, num_rows: int) -> float | None:
    """Return the standard error from values in the resamples; None as for `interval`."""
    known = values[np.isfinite(values)]
    if len(known) < max(2, _DEFINED * len(values)):
        return None
    return float(known.std(ddof=1) * np.sqrt(num_rows / (num_rows - 1)))


def critical(num_rows: int, tests: int = 1) -> float:
    """Return how many standard errors a difference must exceed, as Student's t has it.

    Args:
        num_rows: of the test split, at least 2.
        tests: tasks that are judged together: with Bonferroni's correction, all of them are called
            noise in 95 % of the cases in which they are.
    """
    return float(-stdtrit(num_rows - 1, (1 - LEVEL) / (2 * tests)))


def kind_of(percent: float, error: float | None, limit: float = 2.0) -> Kind:
    """Return what a gain is: the one rule for verdicts and for ``negative_transfer``.

    Args:
        percent: the gain.
        error: its standard error in percent; None: not known, so that any difference counts.
        limit: standard errors from which on a gain is none of noise.
    """
    if round(percent, 1) == 0:
        return "same"
    if error is not None and abs(percent) <= limit * error:
        return "noise"
    return "won" if percent > 0 else "lost"
