"""Reviews of clothes: text and table together, each alone, their ensemble, and TF-IDF.

    python benchmarks/reviews.py REVIEWS.csv OUT [--seeds 3 4 5] [--set KEY=VALUE …] [--pairs]

A fifth of the rows, drawn by the seed, is the test split, a fifth of the others the validation
split; all rows of the table below saw the same ones. TF-IDF is of words and pairs of words of title
and text, with a logistic regression for each task, whose strength C is chosen on validation rows;
*with cells* also has the numbers, standardised, and the categories. Runs go to OUT, and what is
complete there is not run again. ``--pairs`` gives differences of the joint model to TF-IDF, too,
with intervals from a bootstrap over the reviews: all splits use the same resampled ones, and the
difference is the mean over the splits of those in each.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from experiments import run, spread, table
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jlrun.evaluation.weighted_classes import mean_auroc

TASKS = {  # task -> its column and metric
    "rating": ("Rating", "accuracy"),
    "recommended": ("Recommended IND", "auroc"),
    "department": ("Department Name", "accuracy"),
}
TEXTS = ["Title", "Review Text"]
NUMBERS = ["Age", "Positive Feedback Count"]
CATEGORIES = ["Division Name"]
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
COMMON = ("experiment=reviews", "engine.threads=1", "recorder.progress=none")

Scores = Mapping[str, float]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("reviews", type=Path)
    parse.add_argument("out", type=Path)
    parse.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5])
    parse.add_argument("--set", nargs="+", default=[], help="overrides of every run")
    parse.add_argument("--pairs", action="store_true", help="intervals of the differences")
    parsed = parse.parse_args()
    found: dict[str, list[Scores]] = {}
    tests: list[dict[str, Paired]] = []
    for seed in parsed.seeds:
        path = write_split(parsed.reviews, parsed.out / f"reviews_{seed}.csv", seed)
        regressions, predicted = tf_idf(path)
        rows = {**joint(path, parsed.out, seed, parsed.set), **regressions}
        tests.append(paired(parsed.out / f"seed{seed}", path, predicted))
        for name, scores in rows.items():
            found.setdefault(name, []).append(scores)
    header = ["test %", *(f"{task} {metric}" for task, (_, metric) in TASKS.items()), "mean"]
    print(table(header, [[name, *cells(scores)] for name, scores in found.items()]))
    if parsed.pairs:
        rows = [[task, *differences([test[task] for test in tests])] for task in TASKS]
        print("\n" + table(["points", "difference", "95 % interval"], rows))


def cells(seeds: list[Scores]) -> list[str]:
    means = [sum(scores.values()) / len(scores) for scores in seeds]
    return [*(spread(scores[task] for scores in seeds) for task in TASKS), spread(means)]


def write_split(reviews: Path, path: Path, seed: int) -> Path:
    """Write the table with a column ``split``."""
    rows = pd.read_csv(reviews)
    order = np.random.default_rng(seed).permutation(len(rows))
    test = len(rows) // 5
    val = test + (len(rows) - test) // 5
    split = np.full(len(rows), "train", dtype=object)
    split[order[:test]], split[order[test:val]] = "test", "val"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.rename(columns={rows.columns[0]: ""}).assign(split=split).to_csv(path, index=False)
    return path


def joint(path: Path, out: Path, seed: int, overrides: list[str]) -> dict[str, Scores]:
    """Return what one run says: of the joint model, each modality alone, and the ensemble."""
    data = (f"dataset.path={path}", "dataset.split_column=split", f"seed={seed}")
    result = run(out / f"seed{seed}", *COMMON, *data, *overrides)
    models = {"text + cells": result["test"], **result["baselines"]}
    names = {"text": "text alone", "tabular": "cells alone"}
    return {
        names.get(name, name): {task: scores[task][m] for task, (_, m) in TASKS.items()}
        for name, scores in models.items()
    }


def tf_idf(path: Path) -> tuple[dict[str, Scores], dict[str, np.ndarray]]:
    """Return the scores of logistic regressions on TF-IDF, without and with the other cells.

    Also task -> what those without predict of the test rows that have its label.
    """
    rows = pd.read_csv(path)
    parts = {name: rows[rows["split"] == name] for name in ("train", "val", "test")}
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    words.fit(_texts(parts["train"]))
    text = {name: words.transform(_texts(part)) for name, part in parts.items()}
    scale = StandardScaler().fit(parts["train"][NUMBERS])
    levels = OneHotEncoder(handle_unknown="ignore").fit(parts["train"][CATEGORIES].fillna(""))
    whole = {
        name: hstack(
            [
                text[name],
                csr_matrix(scale.transform(part[NUMBERS])),
                levels.transform(part[CATEGORIES].fillna("")),
            ]
        ).tocsr()
        for name, part in parts.items()
    }
    alone, predicted = _regressions(text, parts)
    return {
        "TF-IDF + logistic regression": alone,
        "TF-IDF with cells + logistic regression": _regressions(whole, parts)[0],
    }, predicted


def _texts(rows: pd.DataFrame) -> list[str]:
    return rows[TEXTS].fillna("").agg(" ".join, axis=1).tolist()


def _regressions(
    x: Mapping[str, csr_matrix], parts: Mapping[str, pd.DataFrame]
) -> tuple[Scores, dict[str, np.ndarray]]:
    scores, predicted = {}, {}
    for task, (column, metric) in TASKS.items():
        labels = {name: part[column] for name, part in parts.items()}
        scores[task], predicted[task] = _regression(x, labels, metric)
    return scores, predicted


def _regression(
    x: Mapping[str, csr_matrix], columns: Mapping[str, pd.Series], metric: str
) -> tuple[float, np.ndarray]:
    """Return test score and predictions of the regression that is best on validation rows."""
    known = {name: column.notna().to_numpy() for name, column in columns.items()}
    features = {name: x[name][known[name]] for name in columns}
    labels = {name: column[known[name]].astype(str) for name, column in columns.items()}

    def predicted(model: LogisticRegression, name: str) -> np.ndarray:
        if metric == "accuracy":
            return model.predict(features[name]) == labels[name].to_numpy()
        return model.decision_function(features[name])

    def score(model: LogisticRegression, name: str) -> float:
        found = predicted(model, name)
        if metric == "accuracy":
            return float(found.mean())
        return float(roc_auc_score(labels[name] == model.classes_[1], found))

    models = [
        LogisticRegression(C=strength, max_iter=3000).fit(features["train"], labels["train"])
        for strength in STRENGTHS
    ]
    best = max(models, key=lambda model: score(model, "val"))
    return score(best, "test"), predicted(best, "test")


@dataclass(frozen=True)
class Paired:
    """Predictions of one task on the labelled test rows of a split, by two models.

    Attributes:
        reviews: positions of the rows in the table, ``(N,)``.
        positive: whether *yes* is true, ``(N,)``; None: predictions are whether they are right.
        ours, theirs: of the joint model and of the regression, ``(N,)``.
    """

    reviews: np.ndarray
    positive: np.ndarray | None
    ours: np.ndarray
    theirs: np.ndarray

    def differences(self, counts: np.ndarray) -> np.ndarray:
        """Return ours − theirs in R resamples, of how often each review counts ``(R, reviews)``."""
        weights = counts[:, self.reviews].astype(float)
        ours, theirs = (self._score(p, weights) for p in (self.ours, self.theirs))
        return ours - theirs

    def _score(self, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        if self.positive is None:
            return weights @ predicted / weights.sum(axis=1)
        return mean_auroc(predicted[:, None], self.positive[:, None].astype(float))(weights)


def paired(run: Path, path: Path, theirs: Mapping[str, np.ndarray]) -> dict[str, Paired]:
    """Return task -> the predictions of a run and of the regressions."""
    rows = pd.read_csv(path)
    reviews = np.flatnonzero(rows["split"] == "test")
    found = pd.read_csv(run / "predictions" / "test.csv").sort_values("place", kind="stable")
    assert len(found) == len(reviews)
    pairs = {}
    for task, (_, metric) in TASKS.items():
        known = found[f"{task}_true"].notna().to_numpy()
        own = found[known]
        if metric == "accuracy":
            ours, positive = (own[task] == own[f"{task}_true"]).to_numpy(), None
        else:  # p of *no* has more digits where *yes* is sure
            ours = -own[f"{task}_p_0"].to_numpy()
            positive = (own[f"{task}_true"] == 1).to_numpy()
        pairs[task] = Paired(reviews[known], positive, ours, theirs[task])
    return pairs


def differences(splits: list[Paired], resamples: int = 2000) -> list[str]:
    """Return the mean difference over splits and its 95 % interval, in points."""
    num_reviews = 1 + max(int(split.reviews.max()) for split in splits)
    equal = np.full(num_reviews, 1 / num_reviews)
    drawn = np.random.default_rng(0).multinomial(num_reviews, equal, resamples)
    found = 100 * np.mean([split.differences(drawn) for split in splits], axis=0)
    whole = np.ones((1, num_reviews))
    mean = 100 * np.mean([split.differences(whole) for split in splits])
    low, high = np.quantile(found, [0.025, 0.975])
    return [f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}"]


if __name__ == "__main__":
    main()
