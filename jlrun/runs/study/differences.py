"""Differences between arms of a study, with errors over test rows and over seeds.

A difference is paired: both arms have the same seed, so the same splits, and are scored on the
same rows. Its variance has two parts, which are added:

    V = V_rows + s² / S

V_rows, from a bootstrap over the rows of the data set: a row that is a test row of several seeds is
drawn for all of them together, so that test splits that overlap do not count as independent.
s² is the variance of the S differences: other initial weights, other batches, other splits. Where
splits change with the seed, it contains a part of the rows' variance a second time, which makes
the interval wider than it need be, never narrower: with test splits that overlap, and training
splits that do so even more, a plain t-test over seeds is too narrow (Nadeau & Bengio, "Inference
for the Generalization Error", Machine Learning 2003). The limit is Student's t, its degrees of
freedom those of Satterthwaite: with three seeds that disagree it is far, with three that agree it
is that of the rows.
"""

# R resamples, S seeds, U rows of the data set that are a test row of some seed

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from jlrun.evaluation.bootstrap import LEVEL, resamples, standard_error
from jlrun.evaluation.weighted_scores import Weighted
from jlrun.runs.study.evidence import Predicted
from jlrun.strategies.gain import sign
from jlrun.tasks import Task

Call = Literal["better", "worse", "no difference", "one seed"]


@dataclass(frozen=True)
class Difference:
    """Difference of an arm from another in the main metric of a task; larger is better.

    Attributes:
        arm, against: names of the two.
        task: that both are scored on.
        seeds: that both were trained with.
        mean: of the differences, in units of the metric, turned so that larger is better.
        error: its standard error; None with a single seed.
        freedom: degrees of freedom of the error.
        ours, theirs: mean scores of the two, as the metric gives them.
    """

    arm: str
    against: str
    task: str
    seeds: int
    mean: float
    error: float | None
    freedom: float
    ours: float
    theirs: float

    @property
    def percent(self) -> float:
        """The difference relative to the other's score, in percent; 0 where that is 0."""
        return 100 * self.mean / abs(self.theirs) if self.theirs else 0.0

    @property
    def p_value(self) -> float | None:
        """Probability of such a difference, or a larger one, where there is none."""
        if self.error is None:
            return None
        if not self.error:
            return 1.0 if not self.mean else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference, for itself alone."""
        if self.error is None:
            return None
        width = (
            float(stats.t.isf((1 - LEVEL) / 2, self.freedom)) * self.error if self.error else 0.0
        )
        return self.mean - width, self.mean + width


@dataclass(frozen=True)
class Pair:
    """Predictions of two models on the same test rows."""

    ours: Predicted
    theirs: Predicted


def difference(
    names: tuple[str, str], task: str, kind: Task, pairs: Sequence[Pair], seed: int
) -> Difference | None:
    """Return the difference between two arms; None where no metric of the rows is defined.

    Args:
        names: of the two.
        task: its name.
        kind: of the task.
        pairs: of each seed.
        seed: of the resampling.
    """
    metrics = [(p.ours.metric(kind), p.theirs.metric(kind)) for p in pairs]
    known = [(p, a, b) for p, (a, b) in zip(pairs, metrics, strict=True) if a and b]
    if not known:
        return None
    turn = sign(kind.primary)
    scores = np.array([[_at_ones(a, p), _at_ones(b, p)] for p, a, b in known])
    each = turn * (scores[:, 0] - scores[:, 1])
    rows = _rows_error([(p, a, b) for p, a, b in known], turn, seed)
    error, freedom = _combined(rows, each, max(len(p.ours.rows) for p, _, _ in known))
    ours, theirs = scores.mean(axis=0)
    return Difference(
        *names, task, len(known), float(each.mean()), error, freedom, float(ours), float(theirs)
    )


def _at_ones(metric: Weighted, pair: Pair) -> float:
    return float(metric(np.ones((1, len(pair.ours.rows))))[0])


def _rows_error(
    known: Sequence[tuple[Pair, Weighted, Weighted]], turn: int, seed: int
) -> float | None:
    """Return the standard error of the mean difference over the rows of the data set."""
    places = [_places(pair, i) for i, (pair, _, _) in enumerate(known)]
    rows, inverse = np.unique(np.concatenate(places), return_inverse=True)
    bounds = np.cumsum([len(each) for each in places])[:-1]
    at = np.split(inverse, bounds)
    if len(rows) < 2:
        return None
    draws = []
    for w in resamples(len(rows), seed):
        found = [
            turn * (a(w[:, own]) - b(w[:, own])) for own, (_, a, b) in zip(at, known, strict=True)
        ]
        draws.append(np.mean(found, axis=0))
    return standard_error(np.concatenate(draws), len(rows))


def _places(pair: Pair, seed: int) -> np.ndarray:
    """Return which rows the test split holds; of unknown ones, that they are rows of this seed."""
    found = pair.ours.places
    return found if found is not None else -1 - seed - 1000 * np.arange(len(pair.ours.rows))


def _combined(rows: float | None, each: np.ndarray, num_rows: int) -> tuple[float | None, float]:
    """Return the standard error of the mean and its degrees of freedom."""
    count = len(each)
    if rows is None or count < 2:
        return None, 1.0
    of_rows, of_seeds = rows**2, float(each.var(ddof=1)) / count
    total = of_rows + of_seeds
    if not total:
        return 0.0, float(count - 1)
    freedom = total**2 / (of_seeds**2 / (count - 1) + of_rows**2 / max(1, num_rows - 1))
    return float(np.sqrt(total)), float(freedom)


def calls(found: Sequence[Difference]) -> list[Call]:
    """Return what may be said of each of the differences of a study.

    With the correction of Benjamini and Hochberg ("Controlling the False Discovery Rate", Journal
    of the Royal Statistical Society B 1995) over all of them: of those called better or worse one
    in twenty is expected to be wrong, and if there is no difference at all, none is called so in 95
    of 100 studies.
    """
    p_values = [each.p_value for each in found]
    known = [p for p in p_values if p is not None]
    adjusted = iter(stats.false_discovery_control(known) if known else ())
    said = list[Call]()
    for each, p in zip(found, p_values, strict=True):
        if p is None:
            said.append("one seed")
        elif next(adjusted) > 1 - LEVEL:
            said.append("no difference")
        else:
            said.append("better" if each.mean > 0 else "worse")
    return said
