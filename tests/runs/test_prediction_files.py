"""Predictions in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from jlrun.cli.main import main
from jlrun.runs.prediction_files import FORMATS, write_columns

COLUMNS = {"input": ["línea 1", "b,c"], "pet": ["cat", None], "pet_p_cat": [0.75, None]}
ROWS = [
    {"input": "línea 1", "pet": "cat", "pet_p_cat": 0.75},
    {"input": "b,c", "pet": None, "pet_p_cat": None},
]


def test_formats(tmp_path: Path) -> None:
    csv, listed, lines, table = (tmp_path / "new" / f"p{ending}" for ending in FORMATS)
    for path in (csv, listed, lines, table):
        write_columns(path, COLUMNS)
    assert csv.read_text("utf-8") == 'input,pet,pet_p_cat\nlínea 1,cat,0.75\n"b,c",,\n'
    assert json.loads(listed.read_text("utf-8")) == ROWS
    assert [json.loads(line) for line in lines.read_text("utf-8").splitlines()] == ROWS
    assert read_table(table).to_pylist() == ROWS


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--output", "p.xlsx"], "--output: 'p.xlsx' is none of .csv, .json, .jsonl, .parquet"),
        (["--output", "p.csv", "--level", "95"], "--level: '95' is no share between 0 and 1"),
    ],
)
def test_options_that_are_refused(
    option: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "run", "--input", "x.csv", *option]) == 2
    assert told in capsys.readouterr().err
