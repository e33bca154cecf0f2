"""Reviews of clothes: text and table together, each alone, their ensemble, and TF-IDF.

    python benchmarks/reviews.py REVIEWS.csv OUT [--seeds 3 4 5] [--set KEY=VALUE …]

A fifth of the rows, drawn by the seed, is the test split, a fifth of the others the validation
split; all rows of the table below saw the same ones. TF-IDF is of words and pairs of words of title
and text, with a logistic regression for each task, whose strength C is chosen on validation rows;
*with cells* also has the numbers, standardised, and the categories. Runs go to OUT, and what is
complete there is not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from experiments import run, spread, table
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

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
    parsed = parse.parse_args()
    found: dict[str, list[Scores]] = {}
    for seed in parsed.seeds:
        path = write_split(parsed.reviews, parsed.out / f"reviews_{seed}.csv", seed)
        rows = {**joint(path, parsed.out, seed, parsed.set), **tf_idf(path)}
        for name, scores in rows.items():
            found.setdefault(name, []).append(scores)
    header = ["test %", *(f"{task} {metric}" for task, (_, metric) in TASKS.items()), "mean"]
    print(table(header, [[name, *cells(scores)] for name, scores in found.items()]))


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


def tf_idf(path: Path) -> dict[str, Scores]:
    """Return the scores of logistic regressions on TF-IDF, without and with the other cells."""
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
    return {
        "TF-IDF + logistic regression": _regressions(text, parts),
        "TF-IDF with cells + logistic regression": _regressions(whole, parts),
    }


def _texts(rows: pd.DataFrame) -> list[str]:
    return rows[TEXTS].fillna("").agg(" ".join, axis=1).tolist()


def _regressions(x: Mapping[str, csr_matrix], parts: Mapping[str, pd.DataFrame]) -> Scores:
    return {
        task: _regression(x, {name: part[column] for name, part in parts.items()}, metric)
        for task, (column, metric) in TASKS.items()
    }


def _regression(
    x: Mapping[str, csr_matrix], columns: Mapping[str, pd.Series], metric: str
) -> float:
    """Return the test score of the regression that is best on validation rows."""
    known = {name: column.notna().to_numpy() for name, column in columns.items()}
    features = {name: x[name][known[name]] for name in columns}
    labels = {name: column[known[name]].astype(str) for name, column in columns.items()}

    def score(model: LogisticRegression, name: str) -> float:
        if metric == "accuracy":
            return float(model.score(features[name], labels[name]))
        is_second = labels[name] == model.classes_[1]
        return float(roc_auc_score(is_second, model.decision_function(features[name])))

    models = [
        LogisticRegression(C=strength, max_iter=3000).fit(features["train"], labels["train"])
        for strength in STRENGTHS
    ]
    return score(max(models, key=lambda model: score(model, "val")), "test")


if __name__ == "__main__":
    main()
