"""Bootstrap over test rows: intervals of scores, and errors of paired differences."""

# N rows, R resamples

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from scipy import stats

from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.evaluation.weighted_sums import Weighted
from jlrun.seeding import derive_seed
from jlrun.tasks import Task

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


def interval(values: np.ndarray, num_rows: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a score from its values in the resamples.

    The expanded percentile interval of Hesterberg, "What Teachers Should Know About the Bootstrap",
    The American Statistician 2015: quantiles at Φ(± √(N / (N − 1)) t), so that few rows do not make
    it too narrow. It stays in the range of the score. BCa corrects for skewness as well, but needs
    N more evaluations of each metric and is undefined where resamples are all equal.

    Returns:
        None where one resample in ten or more does not define the score.
    """
    known = values[np.isfinite(values)]
    if len(known) < _DEFINED * len(values) or not len(known):
        return None
    low = stats.norm.cdf(-np.sqrt(num_rows / (num_rows - 1)) * critical(num_rows))
    found = np.quantile(known, [low, 1 - low])
    return float(found[0]), float(found[1])


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
    return float(stats.t.isf((1 - LEVEL) / (2 * tests), num_rows - 1))


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
