"""A table says the same in every format: what is learned from one is known in the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from jlrun.data.specs import TabularSpec, spec_from_json, spec_to_json
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.tables import load_table
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.layout import ColumnReading, Reading
from jlrun.data.tables.new_rows import NewRows, read_new_rows
from jlrun.files.atomic import write_text
from jlrun.files.run_directory import TABLE

FORMATS = ("csv", "spreadsheet.tsv", "jsonl", "parquet", "dictionary.parquet")
CATEGORIES = ("flag", "perhaps", "grade_id", "whole", "half", "small", "colour", "day")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def frame(count: int, seed: int) -> pd.DataFrame:
    """Columns of each type that formats write in ways of their own."""
    generator = np.random.default_rng(seed)
    flag, grade = generator.random(count) < 0.5, generator.integers(1, 4, count)
    unknown = generator.random(count) < 0.1
    days = pd.to_datetime(generator.choice(["2020-01-01", "2021-06-05"], count))
    return pd.DataFrame(
        {
            "flag": flag,
            "perhaps": pd.array(np.where(unknown, None, flag), dtype="boolean"),
            "grade_id": grade,
            "whole": np.where(unknown, np.nan, grade),  # pandas makes 1.0 of 1
            "half": generator.choice([0.5, 1.0, 1.5], count),
            "small": generator.choice([1e-5, 2e-5], count),
            "colour": generator.choice(["red", "green"], count),
            "day": days,
            "x": generator.normal(size=count).astype(np.float32),
            "on": generator.random(count) < 0.5,
            "y": generator.normal(size=count),
        }
    )


def written(folder: Path, name: str, data: pd.DataFrame) -> dict[str, Path]:
    """Write a frame in each format."""
    paths = {form: folder / f"{name}.{form}" for form in FORMATS}
    data.to_csv(paths["csv"], index=False)
    text = data.to_csv(sep="\t", index=False, float_format="%.8f")
    paths["spreadsheet.tsv"].write_text(text.replace("True", "TRUE").replace("False", "FALSE"))
    iso = data.assign(day=data["day"].dt.strftime("%Y-%m-%dT%H:%M:%S.000"))
    iso.to_json(paths["jsonl"], orient="records", lines=True)
    data.to_parquet(paths["parquet"], index=False)
    for column in CATEGORIES:
        data = data.assign(**{column: data[column].astype("category")})
    data.to_parquet(paths["dictionary.parquet"], index=False)
    return paths


def trained(path: Path, **values: Any) -> Splits:
    columns = dict.fromkeys(CATEGORIES, "category") | {"x": "number"}
    return make_splits(
        load_table(str(path), **({"columns": columns, "targets": ["y"]} | values)), Subset(), seed=0
    )


def new_rows(splits: Splits, path: Path, folder: Path) -> NewRows:
    assert splits.report is not None
    write_text(folder / TABLE, splits.report.files()[TABLE])
    (folder / "cache").mkdir(exist_ok=True)
    return read_new_rows(path, folder / TABLE, splits.modalities, folder / "cache")


def tensors(found: NewRows) -> Mapping[str, torch.Tensor]:
    return found.named.rows.fetch(torch.arange(len(found.named.names))).inputs


def test_every_pair_of_formats_agrees(tmp_path: Path) -> None:
    train, new = written(tmp_path, "train", frame(80, 1)), written(tmp_path, "new", frame(30, 2))
    expected = tensors(new_rows(trained(train["csv"]), new["csv"], tmp_path))["tabular"]
    assert (expected[:, 1:] > 0).sum() >= 7 * 30  # only cells without a value are unknown
    for learned, given in product(FORMATS, FORMATS):
        found = new_rows(trained(train[learned]), new[given], tmp_path)
        assert not found.unknown, (learned, given)
        torch.testing.assert_close(tensors(found)["tabular"], expected, msg=f"{learned} {given}")


@pytest.mark.parametrize("target", ["on", "grade_id", "colour", "half"])
def test_targets_are_the_same_classes_in_every_format(tmp_path: Path, target: str) -> None:
    paths = written(tmp_path, "train", frame(60, 1))
    columns = {"x": "number"} | {n: "ignore" for n in (*CATEGORIES, "on", "y") if n != target}
    found = {}
    for form in FORMATS:
        data = load_table(str(paths[form]), columns=columns, targets={target: "multiclass"})
        (found[form],) = data.train.targets.values()  # a task may have another name
        if target == "on":
            assert data.classes == {"on": ("false", "true")}
    assert all(found[form].equal(found["csv"]) for form in FORMATS)


def test_files_of_two_formats_make_one_data_set(tmp_path: Path) -> None:
    train = written(tmp_path, "train", frame(60, 1))
    test = written(tmp_path, "test", frame(20, 2))
    splits = trained(train["csv"], test_path=str(test["parquet"]), targets=["on", "y"])
    assert splits.report is not None
    assert not splits.report.warnings()
    assert splits.test.targets["on"].tolist() == frame(20, 2)["on"].astype(int).tolist()


def test_numbers_of_0_and_1_and_booleans_are_one(tmp_path: Path) -> None:
    data = frame(40, 1)[["flag", "x", "y"]]
    data.to_csv(tmp_path / "bool.csv", index=False)
    data.astype({"flag": int}).to_csv(tmp_path / "int.csv", index=False)
    for kind in ("category", "number"):
        columns = {"flag": kind, "x": "number"}
        for learned, given in (("bool.csv", "int.csv"), ("int.csv", "bool.csv")):
            splits = trained(tmp_path / learned, columns=columns)
            same = tensors(new_rows(splits, tmp_path / learned, tmp_path))["tabular"]
            other = tensors(new_rows(splits, tmp_path / given, tmp_path))["tabular"]
            torch.testing.assert_close(other, same)


def test_unknown_categories_in_most_rows_are_told_with_their_count(tmp_path: Path) -> None:
    data = frame(40, 1)
    data.to_csv(tmp_path / "train.csv", index=False)
    splits = trained(tmp_path / "train.csv")
    strange = frame(20, 2)
    strange.loc[:10, "colour"] = "mauve"
    strange.loc[:9, "grade_id"] = 17
    strange.to_csv(tmp_path / "new.csv", index=False)
    lines = new_rows(splits, tmp_path / "new.csv", tmp_path).lines()
    assert len(lines) == 1  # a half of the rows is not most of them
    assert "'colour'" in lines[0]
    assert "11 of 20 rows, such as mauve; it knows" in lines[0]
    again = trained(tmp_path / "train.csv", test_path=str(tmp_path / "new.csv"))
    assert again.report is not None
    assert "11 of 20 test rows, such as mauve" in again.report.warnings()[0]


def test_dates_and_amounts_are_read_as_they_were_learned(tmp_path: Path) -> None:
    days = pd.date_range("2023-01-05 06:00", periods=60, freq="41h")
    price = np.linspace(950, 9000, 60).round()[np.arange(60) * 7 % 60]
    data = pd.DataFrame(
        {"sold": days, "fee": price, "y": price * 2, "tags": ["a; b", "b", "a"] * 20}
    )
    people = data.assign(
        sold=days.strftime("%d/%m/%Y %H:%M"),
        fee=[f"{fee:,.0f} €".replace(",", ".") for fee in price],
        y=[f"{y:,.2f} EUR" for y in data["y"]],
    )
    people.loc[7, "sold"], people.loc[8, "fee"] = "", ""
    data.loc[7, "sold"], data.loc[8, "fee"] = None, None
    people.to_csv(tmp_path / "people.csv", index=False)
    data.to_parquet(tmp_path / "typed.parquet", index=False)
    tags = Target("tags", "multilabel", separator=";")
    targets = {"y": "regression", "tags": tags}
    splits = trained(tmp_path / "people.csv", columns={}, targets=targets)
    spec = splits.modalities["tabular"]
    assert isinstance(spec, TabularSpec)
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec
    assert spec.plain_numbers == ("fee",)
    assert {"sold: days", "sold: hour", "sold: year sine"} < set(spec.numbers)
    first = splits.train.fetch(torch.arange(len(splits.train)))
    assert first.inputs["tabular"][:, 1].nan_to_num(0.0).min() == 0  # days since the first of them
    assert first.targets["tags"].sum(1).max() == 2
    own = tensors(new_rows(splits, tmp_path / "people.csv", tmp_path))["tabular"]
    typed = tensors(new_rows(splits, tmp_path / "typed.parquet", tmp_path))["tabular"]
    torch.testing.assert_close(typed, own, equal_nan=True)
    assert own[:, 0].isnan().nonzero().tolist() == [[8]]
    assert own[:, 1:].isnan().all(1).nonzero().tolist() == [[7]]
    assert own[0, 0] == 950
    learned = trained(tmp_path / "typed.parquet", columns={}, targets=targets)
    assert learned.train.targets["y"].equal(splits.train.targets["y"])
    people.loc[3, "fee"], people.loc[4, "sold"] = "$ 12", "2023-02-30"
    people.to_csv(tmp_path / "new.csv", index=False)
    found = new_rows(splits, tmp_path / "new.csv", tmp_path)
    assert found.bad.counts() == {"not a date": 1, "not a number": 1}


def test_words_taken_for_missing_are_reported(tmp_path: Path) -> None:
    cells = ["None", "red", "", "blue", "NA"]
    data = pd.DataFrame({"x": np.arange(40) / 4, "colour": cells * 8, "pet": ["None", "cat"] * 20})
    data.to_csv(tmp_path / "t.csv", index=False)
    reading = Reading(columns={"pet": ColumnReading(missing=())})
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        data.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
        data.to_parquet(tmp_path / "t.parquet", index=False)
        report = load_table(str(tmp_path / name), targets=["pet"], reading=reading).report
        assert report is not None
        assert report.to_json()["missing"] == {"colour": {"None": 8, "NA": 8}}


def test_quantiles_that_a_model_can_not_tell_apart_are_one(tmp_path: Path) -> None:
    cells = np.array([3.0, 3.0 - 4e-16, 5.0, 7.0] * 30)
    pd.DataFrame({"x": cells, "y": cells}).to_csv(tmp_path / "t.csv", index=False)
    spec = trained(tmp_path / "t.csv", columns={}).modalities["tabular"]
    assert isinstance(spec, TabularSpec)
    assert np.diff(spec.edges[0]).min() > 1e-7
