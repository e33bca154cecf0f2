"""What is inferred of a table, what a user may say instead, and what is wrong with that."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.data.tables.files.asked_targets import TAKEN, task_name
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.outline import outline
from jlrun.data.tables.files.request import Request
from jlrun.errors import UserError
from tests.data.tables.files.made import rows_of, with_files, write_csv, write_image


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "t.csv", with_files(tmp_path, rows_of(60)))


def test_all_that_is_inferred(table: Path) -> None:
    found = outline(Request(table, targets=["label", "price"]))
    assert found.columns == {
        "note": "text",
        "age": "number",
        "colour": "category",
        "photo": "image",
        "clip": "audio",
        "curve": "series",
    }
    assert found.targets == {
        "label": Target("label", "binary"),
        "price": Target("price", "regression"),
    }
    assert list(found.modalities(True)) == ["image", "audio", "text", "series", "tabular"]
    assert (found.image.size, found.image.channels) == (8, 1)
    assert (found.audio.rate, found.audio.seconds) == (8000, 0.25)
    assert (found.series.length, found.series.channels) == (7, 2)
    assert any("note" in line and "words in a cell" in line for line in found.lines)
    assert any("-> price" in line for line in found.lines)


def test_what_is_said_is_not_inferred(table: Path) -> None:
    said = {"age": "category", "photo": "ignore"}
    found = outline(Request(table, targets={"label": "multiclass"}, columns=said))
    assert (found.columns["age"], found.columns["photo"]) == ("category", "ignore")
    assert found.targets["label"].kind == "multiclass"
    assert not any(line.split()[:2] == ["age", "category"] for line in found.lines)


def test_columns_that_divide_the_rows_are_no_inputs(table: Path) -> None:
    found = outline(Request(table, targets=["label"], split_column="colour", group_by="age"))
    assert not {"colour", "age", "label"} & set(found.columns)


def test_names_need_not_be_whole(tmp_path: Path) -> None:
    rows = [{"Review Text": f"so it is {i}", "Recommended IND": str(i % 2)} for i in range(30)]
    found = outline(Request(write_csv(tmp_path / "t.csv", rows), targets=["recommended"]))
    assert found.targets == {"recommended": Target("Recommended IND", "binary")}


def test_a_column_called_label_is_the_target(table: Path) -> None:
    assert list(outline(Request(table)).targets) == ["label"]


def test_several_columns_of_a_kind(tmp_path: Path) -> None:
    rows = with_files(tmp_path, rows_of(30))
    for i, row in enumerate(rows):
        row |= {"Back View": f"back/{i}.png", "title": f"a title of {i} words"}
        write_image(tmp_path / row["Back View"], i)
    found = outline(Request(write_csv(tmp_path / "t.csv", rows), targets=["label"]))
    joined, apart = found.modalities(True), found.modalities(False)
    assert joined["text"].columns == ("note", "title")
    assert [name for name in apart if name.startswith("text")] == ["text_note", "text_title"]
    assert joined["image_back_view"].columns == ("Back View",)
    assert "image_photo" in joined


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no such target": ({"targets": ["lable"]}, ["dataset.targets", "Did you mean 'label'?"]),
    "target that is several": ({"targets": ["c"]}, ["'c'", "no column"]),
    "kind of task": ({"targets": {"label": "binery"}}, ["'binery'", "Did you mean 'binary'?"]),
    "binary of many": ({"targets": {"colour": "binary"}}, ["two values", "has 3"]),
    "regression of words": ({"targets": {"label": "regression"}}, ["needs numbers", "multiclass"]),
    "no such column": ({"columns": {"ages": "number"}}, ["'ages'", "Did you mean 'age'?"]),
    "kind of column": ({"columns": {"age": "numbr"}}, ["'numbr'", "Did you mean 'number'?"]),
    "target as input": ({"columns": {"label": "category"}}, ["is the target", "not an input"]),
    "split column": ({"split_column": "splt"}, ["dataset.split_column", "'splt'"]),
    "group": ({"group_by": "speaker"}, ["dataset.group_by", "'speaker'"]),
    "two at once": (
        {"group_by": "speaker", "columns": {"age": "numbr"}},
        ["dataset.group_by", "dataset.columns.age"],
    ),
    "nothing left": (
        {"columns": dict.fromkeys(("note", "age", "colour", "price"), "ignore")},
        ["no column of 't.csv' is an input"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_the_fix(name: str, tmp_path: Path) -> None:
    values, told = WRONG[name]
    path = write_csv(tmp_path / "t.csv", rows_of(30))
    request = replace(Request(path, targets=["label"]), **values)
    with pytest.raises(UserError) as error:
        outline(request)
    for part in told:
        assert part in str(error.value)


def test_without_a_target_there_is_a_question(tmp_path: Path) -> None:
    rows = [{"a": str(i), "b": f"word {i % 3}"} for i in range(30)]
    with pytest.raises(
        UserError, match=r"no target is set.*'dataset.targets=\[b\]'; there are a, b"
    ):
        outline(Request(write_csv(tmp_path / "t.csv", rows)))


def test_a_decimal_comma(tmp_path: Path) -> None:
    rows = [{"x": f"{i},5", "label": "ab"[i % 2]} for i in range(30)]
    path = write_csv(tmp_path / "t.csv", rows, delimiter=";")
    assert outline(Request(path, reading=Reading(decimal=","))).columns == {"x": "number"}


def test_names_of_tasks_can_stand_in_a_model() -> None:
    public = {name for name in dir(torch.nn.ModuleDict()) if not name.startswith("_")}
    public -= {"smart_apply"}  # added by another library, where it has been imported
    assert public <= TAKEN
    names = ["type", "a.b", "x/y", "Recommended IND", "training", "_x"]
    torch.nn.ModuleDict({task_name(name): torch.nn.Identity() for name in names})
    assert task_name("rating") == "rating"


def test_nothing_of_it_imports_pytorch(table: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from jlrun.data.tables.files.outline import outline; "
        "from jlrun.data.tables.files.request import Request; "
        f"outline(Request(Path({str(table)!r}))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


GROUPED = ["1,234.56", "12,000", "950", "1,234,567.8", "7.5"]


def test_marks_between_thousands_are_found_where_they_are_evident(tmp_path: Path) -> None:
    rows = [{"x": GROUPED[i % 5], "n": f"{i + 1},000", "y": str(i % 2)} for i in range(20)]
    found = outline(Request(write_csv(tmp_path / "t.csv", rows), targets=["y"]))
    assert found.columns["x"] == "number"
    assert found.reading.thousands == ","
    assert any("comma between thousands, such as 1,234.56: x, n" in line for line in found.lines)


@pytest.mark.parametrize(
    ("decimal", "cells", "mark"),
    [
        (",", ["5.307,65", "12.000", "7,5"], "."),
        (",", ["5.307", "12.000", "999"], "."),  # the decimal mark was said
        (".", ["1 234.5", "12 000", "3"], " "),
        (".", ["1\u202f234.5", "12\u202f000", "3"], " "),
        (".", ["1'234.50", "12'000", "3"], "'"),
        (".", ["12,34,567", "1,000", "3"], ","),  # lakhs
        (",", ["1,5", "2,25", "3"], None),
    ],
)
def test_other_marks(tmp_path: Path, decimal: str, cells: list[str], mark: str | None) -> None:
    rows = [{"x": cells[i % 3], "y": str(i % 2)} for i in range(12)]
    path = write_csv(tmp_path / "t.csv", rows)
    found = outline(Request(path, reading=Reading(decimal=decimal), targets=["y"]))
    assert (found.columns["x"], found.reading.thousands) == ("number", mark)


@pytest.mark.parametrize("cells", [["1,234", "12,000", "950"], ["12,5", "7,25", "3"]])
def test_marks_that_may_be_either_are_asked_about(tmp_path: Path, cells: list[str]) -> None:
    rows = [{"x": cells[i % 3], "z": str(i / 2), "y": str(i % 2)} for i in range(12)]
    path = write_csv(tmp_path / "t.csv", rows)
    found = outline(Request(path, targets=["y"]))
    assert found.columns["x"] == "ignore"
    assert "dataset.reading.decimal=comma" in found.reasons["x"]
    assert ("dataset.reading.thousands=comma" in found.reasons["x"]) == (cells[0] == "1,234")
    with pytest.raises(UserError, match=r"dataset\.targets: x: numbers with marks"):
        outline(Request(path, targets=["x"]))
    told = outline(Request(path, reading=Reading(thousands=","), targets=["y"]))
    assert told.columns["x"] == ("number" if cells[0] == "1,234" else "category")


@pytest.mark.parametrize("cell", ["5.307,65", "5'307,65", "-5 307,65"])
def test_commas_after_other_marks_are_asked_about(tmp_path: Path, cell: str) -> None:
    rows = [{"x": cell.replace("7", str(i)), "y": str(i % 2)} for i in range(9)]
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(UserError) as caught:
        outline(Request(path, targets=["x"]))
    asked = f"such as {rows[0]['x']}: to read them, set dataset.reading.decimal=comma"
    assert str(caught.value).endswith(asked)


def test_keys_that_were_numbers_are_called_like_their_columns(tmp_path: Path) -> None:
    rows = [{"x": str(i / 3), "1e3": "ab"[i % 2], "10_19": str(i / 7)} for i in range(12)]
    path = write_csv(tmp_path / "t.csv", rows)
    found = outline(Request(path, targets={"1000.0": "multiclass", "1019": "regression"}))
    assert list(found.targets) == ["1e3", "10_19"]


@pytest.mark.parametrize("targets", [[], {}])
def test_targets_of_no_column_are_refused(tmp_path: Path, targets: list[str]) -> None:
    path = write_csv(tmp_path / "t.csv", [{"x": str(i), "label": str(i % 2)} for i in range(9)])
    with pytest.raises(UserError, match=r"dataset\.targets: is empty"):
        outline(Request(path, targets=targets))


def test_a_constant_target_is_refused_also_as_a_regression(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [{"x": str(i), "y": "2.50"} for i in range(9)])
    with pytest.raises(UserError, match=r"every row has '2.50': nothing to learn"):
        outline(Request(path, targets={"y": "regression"}))
