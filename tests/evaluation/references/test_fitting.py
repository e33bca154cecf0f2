"""Reference models of a table: what they read of it, learn from, are chosen on and scored on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.tables import load_table
from jlrun.data.tables.files.inputs import ColumnKind
from jlrun.data.tables.files.kinds import TargetKind
from jlrun.evaluation.references import (
    ReferenceRows,
    SplitRows,
    TableInputs,
    fit_references,
)
from jlrun.evaluation.references import rows as rows_module
from jlrun.evaluation.references.features import Featurizer
from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.tasks import Multiclass, Regression, TaskSpec
from tests.data.tables.files.made import write_csv
from tests.toy import toy_rows

TARGETS: dict[str, TargetKind | None] = {"kind": "multiclass", "price": "regression"}


def rows_of(count: int) -> list[dict[str, str]]:
    """Return rows with holes; kind follows the words, price the size."""
    g = np.random.default_rng(1)
    rows = []
    for i in range(count):
        good, size = bool(g.random() > 0.5), float(g.normal(100, 20))
        rows.append(
            {
                "note": " ".join(g.permutation(["good" if good else "bad", "so", "it", "was"])),
                "size": "" if i % 9 == 0 else f"{size:.2f}",
                "town": ("Rome", "Bonn", "", "Nice")[i % 4],
                "kind": "" if i % 7 == 0 else ("fine" if good else "poor"),
                "price": "" if i % 5 == 0 else f"{10 * size:.2f}",
            }
        )
    rows[0]["town"] = "Oslo"  # in no other row
    return rows


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    folder = tmp_path_factory.mktemp("table")
    path = str(write_csv(folder / "t.csv", rows_of(160)))
    table = load_table(path, targets={**TARGETS}, cache=str(folder / "cache"))
    return make_splits(table, Subset(limit=80), seed=0)


def specs_of(splits: Splits) -> tuple[TaskSpec, TaskSpec]:
    return (
        TaskSpec("kind", Multiclass(), splits.classes["kind"]),
        TaskSpec("price", Regression().in_units(*splits.units["price"]), ()),
    )


def reference_rows(splits: Splits, modalities: tuple[str, ...]) -> ReferenceRows:
    found = [SplitRows.of(rows, modalities) for rows in (splits.train, splits.val, splits.test)]
    train, val, test = (each for each in found if each is not None)
    return ReferenceRows(train, val, test)


def test_rows_and_choice(splits: Splits) -> None:
    kind, price = specs_of(splits)
    found = fit_references(reference_rows(splits, ("text", "tabular")), (kind, price), seed=0)
    assert found["kind"].chosen in ("linear_text", "boosted_all")
    assert found["price"].chosen in ("linear_cells", "linear_all")
    for spec in (kind, price):
        each = found[spec.name]
        models = {"linear_cells", "linear_text", "linear_all", "boosted_cells", "boosted_all"}
        assert each.models.keys() == models | {"mean" if spec is price else "majority"}
        metric = spec.task.primary
        best = max(model.val[metric] for model in each.models.values())
        assert each.models[each.chosen].val[metric] == best
        # The labelled rows of each split, in their order.
        known = splits.test.labelled[spec.name]
        assert torch.equal(each.predictions.target, splits.test.targets[spec.name][known])
        assert each.num_rows == int(splits.train.labelled[spec.name].sum()) < len(splits.train)
    assert len(splits.train) == 80
    scorer = Scorer(price)
    values = (found["price"].predictions.probabilities - price.task.units[0]) / price.task.units[1]
    scorer.update(found["price"].predictions.target, Prediction.of(price.task, values))
    assert scorer.compute() == pytest.approx(found["price"].test)


def test_models_take_the_modalities_in_use(splits: Splits) -> None:
    kind, _ = specs_of(splits)
    found = fit_references(reference_rows(splits, ("tabular",)), (kind,), seed=0)
    assert found["kind"].models.keys() == {"majority", "linear_cells", "boosted_cells"}


def test_other_data_sets_have_none() -> None:
    assert TableInputs.of(toy_rows(), ("x",)) is None


def test_a_task_without_labels_has_none(splits: Splits) -> None:
    kind, price = specs_of(splits)
    rows = reference_rows(splits, ("tabular",))
    unlabelled = splits.val.take((~splits.val.labelled["price"]).nonzero().flatten())
    val = SplitRows.of(unlabelled, ("tabular",))
    assert val is not None
    found = fit_references(ReferenceRows(rows.train, val, rows.test), (kind, price), seed=0)
    assert found.keys() == {"kind"}


def test_of_too_many_rows_some_are_drawn(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, price = specs_of(splits)
    split = reference_rows(splits, ("text", "tabular")).train
    whole = split.used((kind, price), seed=0)
    assert len(whole) == int((split.labelled(kind) | split.labelled(price)).sum())
    monkeypatch.setattr(rows_module, "most_rows", lambda inputs: 20)
    drawn = split.used((kind, price), seed=0)
    assert len(drawn) == 20
    assert set(drawn) < set(whole)
    assert np.array_equal(drawn, split.used((kind, price), seed=0))


def test_the_bounds_count_rows_cells_and_text(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = reference_rows(splits, ("text", "tabular")).train.inputs
    assert rows_module.most_rows(inputs) == 50_000
    monkeypatch.setattr(rows_module, "_MOST_CELLS", 2 * 3_000)
    assert rows_module.most_rows(inputs) == 3_000
    monkeypatch.setattr(rows_module, "_MOST_TEXT", 2_000 * inputs.bytes_of_text())
    assert rows_module.most_rows(inputs) == 2_000


def test_linear_features_are_those_of_scikit_learn(splits: Splits) -> None:
    split = reference_rows(splits, ("tabular",))
    every = np.arange(len(split.train))
    features = Featurizer.fit(split.train.inputs, every, 100)
    numbers = make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0))
    pipeline = ColumnTransformer(
        [("number", numbers, [0]), ("town", OneHotEncoder(handle_unknown="ignore"), [1])]
    )
    train, test = split.train.inputs.cells(every), split.test.inputs.cells(np.arange(20))
    levels = len(split.train.inputs.tabular.spec.levels[0])
    expected = pipeline.fit(train).transform(test)
    found = features(split.test.inputs, np.arange(20))["linear_cells"].toarray()
    missing = np.isnan(test[:, 0])
    assert found[:, 0] == pytest.approx(expected[:, 0])
    assert np.array_equal(found[:, 1], missing)
    assert np.array_equal(found[:, 2:], expected[:, 1 : 1 + levels])


def test_texts_without_blanks_have_tokens(tmp_path: Path) -> None:
    rows = [
        {"note": "很好的衣服" if i % 2 else "不好的裤子", "size": str(i), "label": "nb"[i % 2]}
        for i in range(60)
    ]
    path = str(write_csv(tmp_path / "t.csv", rows))
    kinds: dict[str, ColumnKind] = {"note": "text", "size": "number"}
    table = load_table(path, targets=["label"], columns=kinds, cache=str(tmp_path / "cache"))
    found = make_splits(table, Subset(), seed=0)
    spec = TaskSpec("label", Multiclass(), found.classes["label"])
    references = fit_references(reference_rows(found, ("text",)), (spec,), seed=0)
    assert references["label"].chosen == "linear_text"
    assert references["label"].test["accuracy"] == 1
