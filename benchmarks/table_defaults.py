"""Defaults on tables: jlrun, gradient boosting, random forest and linear models, ranked.

    python benchmarks/table_defaults.py OUT [--splits 5 6 7 8 9] [--tables wine …]
        [--set KEY=VALUE …] [--write benchmarks/results/tables.md]

Tables are those that scikit-learn ships or makes. A fifth of the rows, drawn anew for each split,
is the test split, a fifth of the others the validation split. Every model learns from the same
training rows with its defaults: jlrun chooses its epoch on the validation rows, the others do not
use them. Regression is scored by R², classification by accuracy. Runs go to OUT; those that are
complete there are not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from experiments import run, table
from sklearn.compose import make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_wine,
    make_classification,
    make_friedman1,
    make_regression,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from jlrun.runs.sweeps.comparison import mean_ranks

MODELS = ("jlrun", "gradient boosting", "random forest", "linear")
COMMON = ("mode=multitask", "dataset=table", "baselines=false", "engine.threads=1")
QUIET = ("recorder.progress=none", "recorder.figures=false", "recorder.tensorboard=false")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("out", type=Path)
    parse.add_argument("--splits", type=int, nargs="+", default=[5, 6, 7, 8, 9])
    parse.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parse.add_argument("--set", nargs="+", default=[], help="overrides of every run")
    parse.add_argument("--write", type=Path, help="Markdown file of the results")
    parsed = parse.parse_args()
    rows, scores = [], []
    for name in parsed.tables:
        found = [scores_of(name, split, parsed.out, parsed.set) for split in parsed.splits]
        ranks = mean_ranks([[split[model] for split in found] for model in MODELS])
        rows.append([name.replace("_", " "), *(cell([s[m] for s in found]) for m in MODELS)])
        scores.append(ranks)
        print(rows[-1], ranks, flush=True)
    means = [sum(column) / len(column) for column in zip(*scores, strict=True)]
    rows.append(["mean rank", *(f"{mean:.2f}" for mean in means)])
    text = table(["table", *MODELS], rows)
    print(text)
    if parsed.write:
        parsed.write.write_text(f"{text}\n", encoding="utf-8")


def cell(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"


def scores_of(name: str, split: int, out: Path, overrides: list[str]) -> Mapping[str, float]:
    """Return model -> its test score on one split of a table."""
    rows = TABLES[name](np.random.default_rng(1_000 + split))
    rows["split"] = split_of(len(rows), split)
    path = out / f"{name}_{split}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    kind = "regression" if rows["target"].dtype == float else "multiclass"
    data = (f"dataset.path={path}", "dataset.split_column=split", f"seed={split}")
    target = f"dataset.targets={{target: {kind}}}"
    result = run(out / f"{name}_{split}", *COMMON, *QUIET, *data, target, *overrides)
    found = {"jlrun": result["test"]["target"]["r2" if kind == "regression" else "accuracy"]}
    return found | reference_scores(rows, kind)


def split_of(num_rows: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(seed).permutation(num_rows)
    test = num_rows // 5
    val = test + (num_rows - test) // 5
    split = np.full(num_rows, "train", dtype=object)
    split[order[:test]], split[order[test:val]] = "test", "val"
    return split


def reference_scores(rows: pd.DataFrame, kind: str) -> dict[str, float]:
    """Return model of scikit-learn -> its test score."""
    inputs = rows.drop(columns=["target", "split"])
    numbers = list(inputs.select_dtypes("number"))
    words = [name for name in inputs if name not in numbers]
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = make_column_transformer((ordinal, words), remainder="passthrough")
    filled = make_column_transformer((ordinal, words), (SimpleImputer(), numbers))
    scaled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore")
    linear = make_column_transformer((levels, words), (scaled, numbers))
    regression = kind == "regression"
    models = {
        "gradient boosting": make_pipeline(
            trees,
            HistGradientBoostingRegressor(random_state=0)
            if regression
            else HistGradientBoostingClassifier(random_state=0),
        ),
        "random forest": make_pipeline(
            filled,
            RandomForestRegressor(random_state=0)
            if regression
            else RandomForestClassifier(random_state=0),
        ),
        "linear": make_pipeline(
            linear,
            RidgeCV(np.logspace(-3, 3, 13)) if regression else LogisticRegression(max_iter=2000),
        ),
    }
    train, test = rows["split"] == "train", rows["split"] == "test"
    return {
        name: float(
            model.fit(inputs[train], rows["target"][train]).score(
                inputs[test], rows["target"][test]
            )
        )
        for name, model in models.items()
    }


def shipped(load: Callable[..., object], regression: bool) -> pd.DataFrame:
    frame = load(as_frame=True).frame.rename(columns=lambda name: name.replace("/", " per "))
    return frame.astype({"target": float if regression else str})


def friedman(draw: np.random.Generator) -> pd.DataFrame:
    """A function with products and squares of 5 of 10 numbers, with noise."""
    x, y = make_friedman1(2_000, noise=1.0, random_state=int(draw.integers(2**31)))
    return pd.DataFrame(x, columns=list("abcdefghij")).assign(target=y)


def plane(draw: np.random.Generator) -> pd.DataFrame:
    """A linear function of 5 of 20 numbers, few rows."""
    x, y = make_regression(
        300, 20, n_informative=5, noise=30.0, random_state=int(draw.integers(2**31))
    )
    return pd.DataFrame(x, columns=list("abcdefghijklmnopqrst")).assign(target=y)


def categories(draw: np.random.Generator) -> pd.DataFrame:
    """Effects of three columns with 60, 20 and 5 levels, one of them on the slope of a number."""
    codes = {
        name: draw.integers(count, size=2_000)
        for name, count in zip("abc", (60, 20, 5), strict=True)
    }
    x, z = draw.normal(size=(2, 2_000))
    effects = {name: draw.normal(size=60)[c] for name, c in codes.items()}
    y = effects["a"] + effects["b"] + effects["c"] * x + 0.5 * draw.normal(size=2_000)
    words = {name: [f"{name}{i}" for i in c] for name, c in codes.items()}
    return pd.DataFrame({**words, "x": x, "z": z, "target": y})


def holes(draw: np.random.Generator) -> pd.DataFrame:
    """Two classes of several clusters in 12 numbers, of which 30 % are missing."""
    x, y = make_classification(
        1_500,
        12,
        n_informative=6,
        n_clusters_per_class=3,
        random_state=int(draw.integers(2**31)),
    )
    x[draw.random(x.shape) < 0.3] = np.nan
    return pd.DataFrame(x, columns=list("abcdefghijkl")).assign(target=[f"k{v}" for v in y])


TABLES: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "diabetes": lambda _: shipped(load_diabetes, regression=True),
    "breast_cancer": lambda _: shipped(load_breast_cancer, regression=False),
    "wine": lambda _: shipped(load_wine, regression=False),
    "friedman": friedman,
    "plane": plane,
    "categories": categories,
    "holes": holes,
}


if __name__ == "__main__":
    main()
