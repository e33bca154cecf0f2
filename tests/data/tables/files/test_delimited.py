"""CSV and TSV: what is a row, which line it is on, and what is wrong with it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pandas as pd
import pytest

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.delimited import LONGEST_CELL
from jlrun.data.tables.files.layout import ROWS_AT_ONCE, Reading
from jlrun.data.tables.files.reading import read_chunks
from jlrun.errors import UserError


def read(path: Path, reading: Reading | None = None) -> tuple[list[tuple[int, ...]], BadRows]:
    """Return (line, cells…) of each good row, and the bad ones."""
    bad = BadRows(path)
    found = []
    for chunk in read_chunks(path, reading or Reading(), bad, "dataset"):
        for i, place in enumerate(chunk.places):
            found.append((place, *(cells[i] for cells in chunk.cells.values())))
    return found, bad


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n1,"two\nlines"\n\n3,x\n')
    assert read(path)[0] == [(2, "1", "two\nlines"), (5, "3", "x")]


def test_what_stands_for_a_missing_cell(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\nNA, ,x\n")
    assert read(path)[0] == [(2, "", "", "x")]
    assert read(path, Reading(missing=("", "x")))[0] == [(2, "NA", "", "")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    other = ";" if delimiter != ";" else ","
    lines = [delimiter.join(("a", "b", "c")), *[f"1{delimiter}x{other}y{delimiter}3"] * 3]
    path = written(tmp_path, "\n".join(lines))
    assert read(path)[0] == [(i, "1", f"x{other}y", "3") for i in (2, 3, 4)]


def test_a_tab_in_tsv_and_the_delimiter_that_was_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "a,x\tb\n1,1\t2\n", "t.tsv")
    assert read(path)[0] == [(2, "1,1", "2")]
    assert read(path, Reading(delimiter=","))[0] == [(2, "1", "1\t2")]


@pytest.mark.parametrize("delimiter", ["§", '"', "", "ab", "\n"])
def test_a_delimiter_that_pyarrow_does_not_know(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(UserError, match=r"reading\.delimiter: .*expected one ASCII character"):
        read(written(tmp_path, "a,b\n1,2\n"), Reading(delimiter=delimiter))


def test_cells_that_are_too_long(tmp_path: Path) -> None:
    path = written(tmp_path, f'a,b\n1,"{"é" * LONGEST_CELL}"\n2,{"x" * LONGEST_CELL}y\n3,z\n')
    rows, bad = read(path)
    assert [row[:2] for row in rows] == [(2, "1"), (4, "3")]
    assert [(row.place, row.reason) for row in bad.rows] == [(3, "cell too long")]


def test_chunks_are_of_equal_size_whatever_is_read_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n" + "1,xy\n" * (2 * ROWS_AT_ONCE + 5))
    chunks = read_chunks(path, Reading(), BadRows(path), "dataset")
    assert [len(chunk.places) for chunk in chunks] == [ROWS_AT_ONCE, ROWS_AT_ONCE, 5]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")
    chunks = read_chunks(path, Reading(), BadRows(path), "d")
    assert list(next(chunks).cells) == ["a", "b"]


def test_columns_without_a_name_are_numbered(tmp_path: Path) -> None:
    chunk = next(read_chunks(written(tmp_path, ",b\n1,2\n"), Reading(), BadRows(tmp_path), "d"))
    assert chunk.cells == {"column 1": ["1"], "b": ["2"]}


def test_an_open_quote_loses_its_own_line_only(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n1,x\n2,"open\n3,y\n4,z\n')
    rows, bad = read(path)
    assert rows == [(2, "1", "x"), (4, "3", "y"), (5, "4", "z")]
    assert [(row.place, row.reason) for row in bad.rows] == [(3, "broken quotes")]


def test_an_open_quote_that_a_later_one_closes_loses_its_own_line_only(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n1,"open\n2,"y"\n3,z\n')
    rows, bad = read(path)
    assert rows == [(3, "2", "y"), (4, "3", "z")]
    assert [row.place for row in bad.rows] == [2]


def test_an_open_quote_in_a_long_file_is_given_up(tmp_path: Path) -> None:
    lines = [f"{i},{'w ' * 20}" for i in range(60_000)]
    path = written(tmp_path, "\n".join(["a,b", '0,"open', *lines]))
    rows, bad = read(path)
    assert len(rows) == len(lines)
    assert bad.num_rows == 1


def test_rows_of_another_width(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1\n1,2,3\n1,2,,\n4,5\n")
    rows, bad = read(path)
    assert rows == [(4, "1", "2"), (5, "4", "5")]  # empty cells too many do no harm
    assert bad.counts() == {"wrong number of cells": 2}
    assert bad.rows[0].detail == "1 cell, and the header has 2"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = written(tmp_path, b"a,b\n1,caf\xe9\n2,tea\n")
    rows, bad = read(path)
    assert rows == [(3, "2", "tea")]
    assert "0xe9" in bad.rows[0].detail
    assert read(path, Reading(encoding="latin-1"))[0][0] == (2, "1", "café")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has a header and no rows"),
        (b"1,2\n3,4\n", "line 1 must name the columns"),
        (b"a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("a,b\n1,2\n".encode("utf-16"), "reading.encoding=utf-16"),
        (b"PK\x03\x04rest", "compressed file or a spreadsheet"),
        (b"a,caf\xe9\n1,2\n", "reading.encoding, such as latin-1"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read(written(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "told"),
    [("u.csv", "there is no file .*; its folder has t.csv"), ("t.xlsx", "is not CSV")],
)
def test_names_that_are_no_table(tmp_path: Path, name: str, told: str) -> None:
    written(tmp_path, "a\nb\n", "t.csv")
    if name == "t.xlsx":
        written(tmp_path, "a", name)
    with pytest.raises(UserError, match=told):
        read(tmp_path / name)


def test_a_utf_16_file_is_read_where_that_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,é\n".encode("utf-16"))
    assert read(path, Reading(encoding="utf-16"))[0] == [(2, "1", "é")]


def test_agrees_with_pandas_on_tables_of_random_texts(tmp_path: Path) -> None:
    draw = random.Random(0)
    signs = ["a", "é", ",", '"', "\n", " ", ";", "'", "|", "\t"]
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", "z"])
        for _ in range(200):
            texts = ["w" + "".join(draw.choices(signs, k=draw.randint(0, 9))) for _ in range(3)]
            writer.writerow(texts)
    found, bad = read(path)
    expected = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert bad.num_rows == 0
    assert [row[1:] for row in found] == [
        tuple(cell.strip() for cell in row) for row in expected.itertuples(index=False)
    ]
