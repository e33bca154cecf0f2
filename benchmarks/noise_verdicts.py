"""How often noise is called noise, and a true effect of two standard errors found.

    python benchmarks/noise_verdicts.py --runs 200

Each run is a pair of simulated predictions of the same test rows, of models that are equally good,
or of which one is better by two standard errors of the paired difference in the primary metric.
That standard error is measured over other simulated runs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from jlrun.evaluation.bootstrap import critical, interval, kind_of, resampled
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.strategies.gain_statistics import task_gain
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec

KINDS: dict[str, tuple[Task, tuple[str, ...]]] = {
    "binary": (Binary(), ("no", "yes")),
    "binary auroc": (Binary(metric="auroc"), ("no", "yes")),
    "multiclass": (Multiclass(), ("a", "b", "c")),
    "multiclass macro_f1": (Multiclass(metric="macro_f1"), ("a", "b", "c")),
    "multilabel": (Multilabel(), ("a", "b", "c")),
    "regression": (Regression(), ()),
    "regression mae": (Regression(metric="mae"), ()),
    "regression spearman": (Regression(metric="spearman"), ()),
    "regression of noise": (Regression(), ()),
}


def simulate(
    kind: str, rng: np.random.Generator, num_rows: int, effect: float
) -> tuple[RowPredictions, RowPredictions]:
    """Return predictions of a model with ``effect`` more signal than the other has, and of that."""
    task, classes = KINDS[kind]
    signal = 0.0 if kind.endswith("noise") else 1.0
    width = max(len(classes), 1)
    if isinstance(task, Regression):
        y = rng.normal(size=(num_rows, 1))
    elif isinstance(task, Multilabel):
        y = (rng.random((num_rows, width)) < 0.3).astype(float)
    else:
        y = np.eye(width)[rng.integers(width, size=num_rows)]
    shared = rng.normal(size=y.shape)

    def model(strength: float) -> RowPredictions:
        z = strength * y + 0.7 * shared + 0.7 * rng.normal(size=y.shape)
        if isinstance(task, Regression):
            # The best predictor of y, and one that overfits where nothing is to be learned.
            z = max(strength, 0.3) * z / (strength**2 + 0.98)
        elif isinstance(task, Multilabel):
            z = 2 * (z - 0.5 * strength)
        if isinstance(task, Binary):
            z = z[:, 1:] - z[:, :1]
        target = torch.tensor(y)
        target = {Regression: lambda: target[:, 0], Multilabel: lambda: target}.get(
            type(task), lambda: target.argmax(dim=1)
        )()
        return RowPredictions(task.probabilities(torch.tensor(z)), target)

    return model(signal + effect), model(signal)


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


def two_errors(kind: str, num_rows: int, runs: int = 300) -> float:
    """Return the effect whose expected difference is two standard errors, by bisection."""
    task = KINDS[kind][0]
    low, high = 0.0, 3.0
    for _ in range(9):
        effect = (low + high) / 2
        differences = []
        for run in range(runs):
            pair = simulate(kind, np.random.default_rng([7, run]), num_rows, effect)
            a, b = (scores(task, rows)[task.primary] for rows in pair)
            differences.append(a - b)
        found = abs(np.mean(differences)) / np.std(differences)
        low, high = (effect, high) if found < 2 else (low, effect)
    return (low + high) / 2


def coverage(kind: str, num_rows: int, runs: int) -> dict[str, float]:
    """Return metric -> the share of 95 % intervals that hold the value of very many rows."""
    task = KINDS[kind][0]
    truth = scores(task, simulate(kind, np.random.default_rng(99), 200_000, 0.0)[0])
    hits: dict[str, list[bool]] = {name: [] for name in truth}
    for run in range(runs):
        rows = simulate(kind, np.random.default_rng([11, run]), num_rows, 0.0)[0]
        for name, values in resampled(task, rows, run).items():
            ends = interval(values, num_rows)
            if ends is not None:
                hits[name].append(ends[0] <= truth[name] <= ends[1])
    return {name: float(np.mean(found)) for name, found in hits.items() if found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--coverage", action="store_true")
    options = parser.parse_args()
    for kind in options.kinds:
        for num_rows in options.rows:
            pairs = (
                simulate(kind, np.random.default_rng([1, run]), num_rows, 0.0)
                for run in range(options.runs)
            )
            called = [verdict(kind, pair, seed) for seed, pair in enumerate(pairs)]
            noise = np.mean([found in ("noise", "same", "none") for found in called])
            effect = two_errors(kind, num_rows)
            better = (
                simulate(kind, np.random.default_rng([2, run]), num_rows, effect)
                for run in range(options.runs)
            )
            found = np.mean([verdict(kind, p, seed) == "won" for seed, p in enumerate(better)])
            print(f"{kind:22} {num_rows:5} rows  noise {noise:.3f}  effect {found:.3f}", flush=True)
            if options.coverage:
                print("   ", coverage(kind, num_rows, options.runs), flush=True)


if __name__ == "__main__":
    main()
