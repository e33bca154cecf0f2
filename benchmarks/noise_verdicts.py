"""How often noise is called noise, an effect of two standard errors is found, and intervals hold.

    python benchmarks/noise_verdicts.py --runs 200 --coverage 500

Each run is a pair of simulated predictions of the same test rows (of maps: images), of models that
are equally good, or of which one is better by two standard errors of the paired difference in the
primary metric. That standard error is measured over other simulated runs. Coverage is the share of
intervals that hold the score of very many rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from jlrun.evaluation.bootstrap import critical, intervals, kind_of
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.strategies.gain import sign
from jlrun.strategies.gain_statistics import task_gain
from jlrun.tasks import (
    Binary,
    Depth,
    Multiclass,
    Multilabel,
    Ordinal,
    Regression,
    Segmentation,
    SurfaceNormals,
    Task,
    TaskSpec,
)
from jlrun.tasks.image_sums import map_totals

GRADES = ("1", "2", "3", "4", "5")
KINDS: dict[str, tuple[Task, tuple[str, ...]]] = {
    "binary": (Binary(), ("no", "yes")),
    "binary auroc": (Binary(metric="auroc"), ("no", "yes")),
    "multiclass": (Multiclass(), ("a", "b", "c")),
    "multiclass macro_f1": (Multiclass(metric="macro_f1"), ("a", "b", "c")),
    "multilabel": (Multilabel(), ("a", "b", "c")),
    "ordinal": (Ordinal(), GRADES),
    "ordinal mae": (Ordinal(metric="mae"), GRADES),
    "ordinal quadratic_kappa": (Ordinal(metric="quadratic_kappa"), GRADES),
    "regression": (Regression(), ()),
    "regression mae": (Regression(metric="mae"), ()),
    "regression spearman": (Regression(metric="spearman"), ()),
    "regression of noise": (Regression(), ()),
    "map segmentation": (Segmentation(metric="miou"), ("a", "b", "c")),
    "map depth": (Depth(metric="abs_err"), ()),
    "map normals": (SurfaceNormals(metric="mean_angle"), ()),
}
# Kinds that differ in their primary metric alone have the same intervals.
COVERED = ("binary", "multiclass", "multilabel", "ordinal", "regression", "regression of noise")
COVERED += ("map segmentation", "map depth", "map normals")
SIDE = 6  # pixels of the side of a simulated map


def simulate(
    kind: str, rng: np.random.Generator, num_rows: int, effect: float
) -> tuple[RowPredictions, RowPredictions]:
    """Return predictions of a model with ``effect`` more signal than the other has, and of that.

    Of both models' noise one half is shared: they find the same rows hard.
    """
    task, classes = KINDS[kind]
    signal = 0.0 if kind.endswith("noise") else 1.0
    model = _maps(task, rng, num_rows) if task.dense else _rows(task, len(classes), rng, num_rows)
    return model(signal + effect), model(signal)


Model = Callable[[float], RowPredictions]  # by the strength of its signal


def _rows(task: Task, num_classes: int, rng: np.random.Generator, num_rows: int) -> Model:
    width = max(num_classes, 1)
    if isinstance(task, Regression):
        y = rng.normal(size=(num_rows, 1))
    elif isinstance(task, Multilabel):
        y = (rng.random((num_rows, width)) < 0.3).astype(float)
    else:
        y = np.eye(width)[rng.integers(width, size=num_rows)]
    grades = y.argmax(axis=1, keepdims=True) - (width - 1) / 2
    shared = rng.normal(size=grades.shape if isinstance(task, Ordinal) else y.shape)
    target = torch.tensor(y)
    if isinstance(task, Regression):
        target = target[:, 0]
    elif not isinstance(task, Multilabel):
        target = target.argmax(dim=1)

    def model(strength: float) -> RowPredictions:
        noise = 0.7 * shared + 0.7 * rng.normal(size=shared.shape)
        if isinstance(task, Ordinal):  # above which of the middles between grades
            middles = np.arange(width - 1) - (width - 2) / 2
            z = 2 * (strength * (grades - middles) + noise)
            return RowPredictions(task.probabilities(torch.tensor(z)), target)
        z = strength * y + noise
        if isinstance(task, Regression):
            # The best predictor of y, and one that overfits where nothing is to be learned.
            z = max(strength, 0.3) * z / (strength**2 + 0.98)
        elif isinstance(task, Multilabel):
            z = 2 * (z - 0.5 * strength)
        if isinstance(task, Binary):
            z = z[:, 1:] - z[:, :1]
        return RowPredictions(task.probabilities(torch.tensor(z)), target)

    return model


def _maps(task: Task, rng: np.random.Generator, num_rows: int) -> Model:
    """Images in which neighbouring pixels err alike, and of which some are harder than others."""
    outputs = 1 if isinstance(task, Depth) else 3
    shape = (num_rows, outputs, SIDE, SIDE)
    difficulty = rng.gamma(4, 0.25, size=(num_rows, 1, 1, 1))
    if isinstance(task, Segmentation):
        label = rng.choice(3, p=(0.6, 0.3, 0.1), size=(num_rows, SIDE, SIDE))
        clean, target = np.eye(3)[label].transpose(0, 3, 1, 2), torch.tensor(label)
    elif isinstance(task, Depth):
        clean = 1 + rng.gamma(2, 1, size=shape)
        target = torch.tensor(clean[:, 0])
    else:
        clean = rng.normal(size=shape)
        target = F.normalize(torch.tensor(clean), dim=1)
    shared = _map_noise(rng, shape)

    def model(strength: float) -> RowPredictions:
        noise = difficulty * (0.7 * shared + 0.7 * _map_noise(rng, shape)) / (1 + strength)
        found = torch.tensor(clean + noise)
        sums = task.image_sums(task.probabilities(3 * found if outputs == 3 else found), target)
        assert sums is not None
        return RowPredictions(sums, map_totals(target))

    return model


def _map_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of which one half is that of the whole image."""
    return 0.7 * rng.normal(size=(*shape[:2], 1, 1)) + 0.7 * rng.normal(size=shape)


def verdict(kind: str, pair: tuple[RowPredictions, RowPredictions], seed: int) -> str:
    """Return what `kind_of` says of the pair."""
    task, classes = KINDS[kind]
    spec = TaskSpec("t", task, classes)
    main, baseline = ({"t": scores(task, rows)} for rows in pair)
    gain = task_gain(spec, main, baseline, pair, seed)
    if gain is None:
        return "none"
    percent = sum(gain.per_metric.values()) / len(gain.per_metric)
    return kind_of(percent, gain.error, critical(gain.rows))


def scores(task: Task, rows: RowPredictions) -> dict[str, float]:
    """Return the scores of the rows."""
    ones = np.ones((1, len(rows)))
    return {name: float(f(ones)[0]) for name, f in weighted_scores(task, rows).items()}


def two_errors(kind: str, num_rows: int, runs: int = 200) -> float:
    """Return the effect whose expected difference is two standard errors, by bisection."""
    task = KINDS[kind][0]
    low, high = 0.0, 3.0
    for _ in range(9):
        effect = (low + high) / 2
        differences = []
        for run in range(runs):
            pair = simulate(kind, np.random.default_rng([7, run]), num_rows, effect)
            a, b = (scores(task, rows)[task.primary] for rows in pair)
            differences.append(sign(task.primary) * (a - b))
        found = np.mean(differences) / np.std(differences)
        low, high = (effect, high) if found < 2 else (low, effect)
    return (low + high) / 2


def coverage(kind: str, num_rows: int, runs: int) -> dict[str, float]:
    """Return metric -> the share of 95 % intervals that hold the value of very many rows."""
    task = KINDS[kind][0]
    many = 20_000 if task.dense else 100_000
    truth = scores(task, simulate(kind, np.random.default_rng(99), many, 0.0)[0])
    hits: dict[str, list[bool]] = {name: [] for name in truth}
    for run in range(runs):
        rows = simulate(kind, np.random.default_rng([11, run]), num_rows, 0.0)[0]
        for name, (low, high) in intervals(weighted_scores(task, rows), num_rows, run).items():
            hits[name].append(low <= truth[name] <= high)
    return {name: float(np.mean(found)) for name, found in hits.items() if found}


def report(kind: str, num_rows: int, runs: int) -> str:
    """Return a line: how often noise is called noise, and an effect of two errors found."""

    def called(seed: int, effect: float) -> list[str]:
        rngs = (np.random.default_rng([seed, run]) for run in range(runs))
        pairs = (simulate(kind, rng, num_rows, effect) for rng in rngs)
        return [verdict(kind, pair, number) for number, pair in enumerate(pairs)]

    noise = np.mean([found in ("noise", "same", "none") for found in called(1, 0.0)])
    power = np.mean([found == "won" for found in called(2, two_errors(kind, num_rows))])
    return f"{kind:24} {num_rows:5} rows  noise {noise:.3f}  effect {power:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="0: no verdicts")
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--coverage", type=int, default=0, help="simulations; 0: none")
    options = parser.parse_args()
    for kind in options.kinds:
        for num_rows in options.rows:
            if options.runs:
                print(report(kind, num_rows, options.runs), flush=True)
            if options.coverage and kind in COVERED:
                held = coverage(kind, num_rows, options.coverage)
                shares = "  ".join(f"{name} {share:.3f}" for name, share in held.items())
                print(f"{kind:24} {num_rows:5} rows  coverage  {shares}", flush=True)


if __name__ == "__main__":
    main()
