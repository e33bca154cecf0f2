"""A table as a data set: rows, splits, targets, and what is learned of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from jlrun.data.specs import ImageSpec, Spec, TabularSpec, TextSpec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.tables import load_table
from jlrun.data.tables.files.inputs import CategorySettings, TextSettings
from jlrun.data.transforms import InputTransform
from jlrun.errors import UserError
from jlrun.runs.datasets import task_specs
from tests.data.tables.files.made import rows_of, with_files, write_csv


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def table(folder: Path, rows: list[dict[str, str]], name: str = "t.csv") -> str:
    return str(write_csv(folder / name, rows))


def splits_of(path: str, subset: Subset | None = None, **values: Any) -> Splits:
    return make_splits(load_table(path, **values), subset or Subset(), seed=0)


def tabular(splits: Splits) -> TabularSpec:
    spec = splits.modalities["tabular"]
    assert isinstance(spec, TabularSpec)
    return spec


def text(splits: Splits) -> TextSpec:
    spec = splits.modalities["text"]
    assert isinstance(spec, TextSpec)
    return spec


def test_every_kind_of_input_and_target(tmp_path: Path) -> None:
    rows = with_files(tmp_path, rows_of(60))
    for i, row in enumerate(rows):
        row["tags"] = ("a|b", "b", "", "c|a")[i % 4]
    path = table(tmp_path, rows)
    splits = splits_of(path, targets=["label", "price", "tags"])
    batch = splits.train.fetch(torch.arange(8))
    shapes = {m: tuple(x.shape[1:]) for m, x in batch.inputs.items()}
    assert shapes == {
        "image": (1, 8, 8),
        "audio": (2000,),
        "text": (10,),
        "series": (7, 2),
        "tabular": (2,),
    }
    assert splits.classes == {"label": ("bad", "good"), "price": (), "tags": ("a", "b", "c")}
    places = splits.train.indices[:8].tolist()
    assert batch.targets["label"].tolist() == [int(rows[i]["label"] == "good") for i in places]
    assert batch.targets["price"].tolist() == [float(rows[i]["price"]) for i in places]
    assert batch.targets["tags"][:, 1].tolist() == [float("b" in rows[i]["tags"]) for i in places]
    assert batch.labelled["tags"].tolist() == [bool(rows[i]["tags"]) for i in places]
    images = batch.inputs["image"][:, 0, 0, 0].tolist()
    assert images == [200 if rows[i]["label"] == "good" else 50 for i in places]
    assert isinstance(splits.modalities["image"], ImageSpec)
    assert splits.modalities["image"].mean[0] == pytest.approx(125 / 255, abs=0.05)


def test_what_is_missing_is_absent(tmp_path: Path) -> None:
    rows = with_files(tmp_path, rows_of(60))
    rows[0] |= {"photo": "", "note": "", "age": ""}
    rows[1] |= {"age": "", "colour": ""}
    rows[2] |= {"label": ""}
    splits = splits_of(table(tmp_path, rows), targets=["label"], columns={"price": "ignore"})
    everything = load_table(table(tmp_path, rows), targets=["label"], columns={"price": "ignore"})
    assert everything.fit is not None
    batch = everything.fit(torch.arange(60)).train.fetch(torch.arange(3))
    assert batch.present["image"].tolist() == [False, True, True]
    assert batch.present["text"].tolist() == [False, True, True]
    assert batch.present["tabular"].tolist() == [True, False, True]
    assert "audio" not in batch.present
    assert batch.inputs["tabular"][0].isnan().tolist() == [True, False]
    assert batch.inputs["tabular"][1, 1] == 0
    assert batch.labelled["label"].tolist() == [True, True, False]
    assert splits.classes["label"] == ("bad", "good")


def test_numbers_are_standardised_by_training_rows(tmp_path: Path) -> None:
    rows = rows_of(100)
    splits = splits_of(table(tmp_path, rows), targets=["label"], columns={"colour": "ignore"})
    training = pd.DataFrame(rows).iloc[splits.train.indices.tolist()]
    spec = tabular(splits)
    assert spec.numbers == ("age", "price")
    ages = training["age"].astype(float)
    assert spec.mean[0] == pytest.approx(ages.mean())
    assert spec.std[0] == pytest.approx(ages.std(ddof=0))
    batch = splits.train.fetch(torch.arange(len(splits.train)))
    cells = InputTransform(splits.modalities, {}, torch.device("cpu"))(batch).inputs["tabular"]
    torch.testing.assert_close(cells.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(cells.std(dim=0, correction=0), torch.ones(2), atol=1e-5, rtol=0)


def test_nothing_is_learned_from_other_rows_than_those_for_training(tmp_path: Path) -> None:
    rows = rows_of(40)
    for i, row in enumerate(rows):
        row["part"] = "train" if i < 30 else "test" if i < 35 else "val"
        if i >= 30:
            row |= {"note": "unheard unheard words of it", "age": "900000", "colour": "pink"}
    path = table(tmp_path, rows)
    splits = splits_of(path, targets=["label"], split_column="part")
    assert (len(splits.train), len(splits.val), len(splits.test)) == (30, 5, 5)
    assert "unheard" not in text(splits).vocabulary
    assert "pink" not in tabular(splits).levels[0]
    assert tabular(splits).mean[0] < 100
    batch = splits.test.fetch(torch.arange(5))
    assert batch.inputs["tabular"][0, 2] == 0
    assert batch.inputs["text"][0].tolist()[:2] == [1, 1]


def test_levels_and_words_that_are_rare_are_unknown(tmp_path: Path) -> None:
    rows = rows_of(60)
    rows[0] |= {"colour": "mauve", "note": "once upon a time it is I"}
    path = table(tmp_path, rows)
    dataset = load_table(path, targets=["label"])
    assert dataset.fit is not None
    spec = dataset.fit(torch.arange(60)).modalities["tabular"]
    assert isinstance(spec, TabularSpec)
    assert set(spec.levels[0]) == {"red", "green", "blue"}
    keep_all = load_table(
        path,
        targets=["label"],
        category=CategorySettings(min_count=1),
        text=TextSettings(min_count=1, max_length=3),
    )
    assert keep_all.fit is not None
    specs = keep_all.fit(torch.arange(60)).modalities
    assert isinstance(specs["tabular"], TabularSpec)
    assert "mauve" in specs["tabular"].levels[0]
    assert isinstance(specs["text"], TextSpec)
    assert specs["text"].length == 3


def test_a_group_is_in_one_split(tmp_path: Path) -> None:
    rows = [row | {"speaker": f"s{i // 6}"} for i, row in enumerate(rows_of(90))]
    splits = splits_of(table(tmp_path, rows), targets=["label"], group_by="speaker")
    speakers = [
        {rows[i]["speaker"] for i in view.indices.tolist()}
        for view in (splits.train, splits.val, splits.test)
    ]
    assert all(speakers)
    assert not speakers[0] & speakers[1]
    assert not (speakers[0] | speakers[1]) & speakers[2]


def test_splits_in_files_of_their_own(tmp_path: Path) -> None:
    path = table(tmp_path, rows_of(40))
    test = table(tmp_path, rows_of(10, start=40), "test.csv")
    splits = splits_of(path, targets=["label"], test_path=test)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (32, 8, 10)


def test_two_ways_to_divide_are_one_too_many(tmp_path: Path) -> None:
    path = table(tmp_path, [row | {"part": "train"} for row in rows_of(10)])
    other = table(tmp_path, rows_of(12)[10:], "other.csv")
    with pytest.raises(UserError, match="by it and by files"):
        load_table(path, targets=["label"], split_column="part", test_path=other)


def test_a_split_column_without_training_rows(tmp_path: Path) -> None:
    path = table(tmp_path, [row | {"part": "test"} for row in rows_of(10)])
    with pytest.raises(UserError, match=r"no row has train in '.*'; it has test"):
        load_table(path, targets=["label"], split_column="part")


def test_labels_that_no_training_row_has(tmp_path: Path) -> None:
    path = table(tmp_path, rows_of(40))
    others = rows_of(4)
    others[1]["label"] = "ugly"
    test = table(tmp_path, others, "test.csv")
    with pytest.raises(
        UserError, match=r"test\.csv: unknown label: 1 row\. line 3: label is 'ugly'"
    ):
        load_table(path, targets=["label"], test_path=test)
    dataset = load_table(path, targets=["label"], test_path=test, on_error="skip")
    assert dataset.test is not None
    assert len(dataset.test) == 3
    assert dataset.report is not None
    assert dataset.report.to_json() == {
        "rows": 44,
        "skipped": 1,
        "reasons": {"unknown label": 1},
    }


def test_an_input_that_gives_a_target_away_is_told(tmp_path: Path) -> None:
    rows = [row | {"verdict": row["label"].upper()} for row in rows_of(60)]
    report = splits_of(table(tmp_path, rows), targets=["label"]).report
    assert report is not None
    (line,) = report.lines("target")
    assert "'verdict' alone determines label in 100.0%" in line
    assert "target.columns={verdict: ignore}" in line


def test_a_target_of_numbers_has_units_of_its_training_rows(tmp_path: Path) -> None:
    rows = rows_of(60)
    splits = splits_of(table(tmp_path, rows), targets=["price"])
    prices = pd.DataFrame(rows).iloc[splits.train.indices.tolist()]["price"].astype(float)
    assert splits.units["price"] == pytest.approx((prices.mean(), prices.std(ddof=0)))


def test_a_target_takes_over_what_a_model_has_learned(tmp_path: Path) -> None:
    known: dict[str, Spec] = {
        "text": TextSpec(("it", "is", "worn"), 5),
        "tabular": TabularSpec(
            ("weight", "age"), (1.0, 50.0), (1.0, 10.0), ("colour",), (("blue",),)
        ),
    }
    dataset = load_table(table(tmp_path, rows_of(30)), targets=["label"])
    assert dataset.adopt is not None
    splits = make_splits(dataset.adopt(known), Subset(), seed=0)
    assert {m: splits.modalities[m] for m in known} == known
    row = int(splits.train.indices[0])
    cells = splits.train.fetch(torch.tensor([0])).inputs["tabular"][0]
    assert cells[0].isnan()
    assert cells[1] == float(rows_of(30)[row]["age"])
    assert cells[2] == float(rows_of(30)[row]["colour"] == "blue")


def test_columns_of_which_the_model_knows_none(tmp_path: Path) -> None:
    dataset = load_table(table(tmp_path, rows_of(30)), targets=["label"])
    assert dataset.adopt is not None
    strange = TabularSpec(("weight",), (0.0,), (1.0,))
    with pytest.raises(UserError, match="learned from: weight"):
        make_splits(dataset.adopt({"tabular": strange}), Subset(), seed=0)


def test_a_target_is_not_read_as_an_input_of_the_model_that_it_begins_with(tmp_path: Path) -> None:
    dataset = load_table(table(tmp_path, rows_of(30)), targets=["price"])
    assert dataset.adopt is not None
    known = TabularSpec(("price", "age"), (1.0, 50.0), (1.0, 10.0))
    with pytest.raises(
        UserError, match=r"targets\.price: column 'price' is an input of the source"
    ):
        make_splits(dataset.adopt({"tabular": known}), Subset(), seed=0)


def test_a_target_that_is_constant_in_the_training_rows_is_refused(tmp_path: Path) -> None:
    rows = rows_of(40)
    for i, row in enumerate(rows):
        row |= {"split": "test" if i < 10 else "train", "price": str(i) if i < 10 else "2.5"}
    path = table(tmp_path, rows)
    targets: dict[str, Any] = {"price": "regression"}
    splits = splits_of(path, targets=targets, split_column="split")
    node = {"tasks": {"price": {"_target_": "jlrun.tasks.Regression"}}}
    with pytest.raises(UserError, match=r"dataset\.tasks\.price: the target is 2\.5 in all"):
        task_specs("dataset", node, splits, None)


def test_rows_to_learn_from_are_no_rows_to_report_on(tmp_path: Path) -> None:
    path = table(tmp_path, rows_of(40))
    copy = table(tmp_path, rows_of(40), "copy.csv")
    for key in ("val_path", "test_path"):
        for other in (path, copy):
            with pytest.raises(UserError, match=rf"dataset\.{key}"):
                load_table(path, targets=["label"], **{key: other})


def test_a_mark_between_thousands_is_kept_for_new_rows(tmp_path: Path) -> None:
    rows = rows_of(40)
    for i, row in enumerate(rows):
        row["income"] = f"{i + 1},{100 + i}.50"
    splits = splits_of(table(tmp_path, rows), targets=["label"])
    assert tabular(splits).numbers == ("age", "price", "income")
    assert 15_000 < tabular(splits).mean[2] < 25_000
    assert splits.report is not None
    assert json.loads(splits.report.files()["table.json"])["reading"]["thousands"] == ","
