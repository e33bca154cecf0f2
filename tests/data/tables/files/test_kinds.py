"""What columns and targets are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jlrun.data.tables.files.kinds import infer_kind, infer_target
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.numbers import Marks
from jlrun.data.tables.files.statistics import ColumnStatistics, measure

N = 120


def column(cells: Sequence[str]) -> ColumnStatistics:
    found = ColumnStatistics()
    half = len(cells) // 2
    found.add(cells[:half], Marks())
    found.add(cells[half:], Marks())
    return found


KINDS = {
    "photo": ([f"p/{i}.JPG" for i in range(N)], "image"),
    "clip": ([f"{i}.wav" if i % 9 else "" for i in range(N)], "audio"),
    "curve": ([f"{i}.npy" for i in range(N)], "series"),
    "age": ([str(20 + i % 50) for i in range(N)], "number"),
    "height": ([f"1.{i}" if i % 10 else "unknown" for i in range(N)], "number"),
    "year": ([str(1990 + i) for i in range(N)][::-1], "number"),
    "row": ([str(i) for i in range(N)], "ignore"),
    "column 1": ([str(i * 7 % N) for i in range(N)], "ignore"),
    "Clothing ID": ([str(1000 + i % 40) for i in range(N)], "category"),
    "customerId": ([str(1000 + i % 40) for i in range(N)], "category"),
    "hash": ([f"{i * 7919:x}ab" for i in range(N)], "ignore"),
    "colour": ([("red", "light blue", "green")[i % 3] for i in range(N)], "category"),
    "flag": ([("yes", "")[i % 2] for i in range(N)], "category"),
    "review": ([f"I liked number {i} very much" for i in range(N)], "text"),
    "name": ([f"Ann{i} Smith{i}" for i in range(N)], "text"),
    "nothing": ([""] * N, "ignore"),
    "always": (["same"] * N, "ignore"),
    "day": ([f"2024-03-{1 + i % 28:02}" for i in range(N)], "date"),
    "split": (["train", "train", "Val", "test"] * (N // 4), "ignore"),
    "postcode": ([f"{1067 + 100 * (i % 9):05}" for i in range(N)], "category"),
    "number with zeros": ([f"{i % 7:04}" for i in range(N)], "category"),
    "sha": ([f"{(i % 90 + 1) * 0xF123456789ABCD:016x}" for i in range(N)], "ignore"),
    "client": ([str(10_000_000 + i * 73_291 % 9_999_991) for i in range(N)], "ignore"),
    "customer key": ([str(i * 7919 % 118) for i in range(N)], "ignore"),
    "seconds": ([str(1_700_000_000 + i * 7919 % 99_991) for i in range(N)], "number"),
    "amount": ([str(100 + i * 79_193 % 9_000_000) for i in range(N)], "number"),
    "underscored": ([f"{i}_{i}" for i in range(N)], "ignore"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_a_column_is_taken_for(name: str) -> None:
    cells, kind = KINDS[name]
    found = infer_kind(name, column(cells), max_levels=100)
    assert (found.kind, bool(found.why)) == (kind, True)


def test_a_few_rows_are_no_reason_to_leave_a_column_out() -> None:
    assert infer_kind("colour", column(["red", "green", "blue"]), 100).kind == "category"


def test_a_column_of_splits_is_proposed() -> None:
    found = infer_kind("my split", column(KINDS["split"][0]), max_levels=100)
    assert found.why.endswith("'dataset.split_column=my split' divides the rows by them")


TARGETS = {
    "stars": ([str(1 + i % 5) for i in range(N)], "multiclass"),
    "stars of pandas": ([f"{1 + i % 5}.0" if i % 7 else "" for i in range(N)], "multiclass"),
    "yes or no": ([("yes", "no")[i % 2] for i in range(N)], "binary"),
    "zero or one": ([str(i % 2) for i in range(N)], "binary"),
    "price": ([f"{i}.25" for i in range(N)], "regression"),
    "count": ([str(i) for i in range(N)], "regression"),
    "tags": ([("a|b", "a", "c")[i % 3] for i in range(N)], "multilabel"),
    "species": ([f"kind {i % 30}" for i in range(N)], "multiclass"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_is_taken_for(name: str) -> None:
    cells, kind = TARGETS[name]
    found = infer_target(column(cells))
    assert found[0] == kind


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([""] * N, "every cell is missing"),
        (["a"] * N, "nothing to learn"),
        ([f"essay {i}" for i in range(N)], "too many for classes"),
    ],
)
def test_no_target(cells: Sequence[str], told: str) -> None:
    assert told in infer_target(column(cells))


def test_statistics_do_not_depend_on_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i},word {i % 3}\n" for i in range(100)))
    whole = measure(path, Reading(), "dataset").columns
    monkeypatch.setattr("jlrun.data.tables.files.delimited.ROWS_AT_ONCE", 7)
    path.touch()
    parts = measure(path, Reading(), "dataset").columns
    for name in ("a", "b"):
        for value in ("rows", "filled", "numbers", "whole", "ascending", "distinct", "words"):
            assert getattr(parts[name], value) == getattr(whole[name], value)
