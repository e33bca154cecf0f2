"""JSON Lines and Parquet hold the same rows as CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.layout import Chunk, Reading
from jlrun.data.tables.files.reading import read_chunks
from jlrun.errors import UserError


def read(path: Path) -> tuple[list[Chunk], BadRows]:
    bad = BadRows(path)
    return list(read_chunks(path, Reading(), bad, "dataset")), bad


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    lines = [{"a": 1, "b": "x"}, {"a": 2.5, "c": ["u", "v"]}, {"b": None, "a": True}]
    path.write_text("\n\n".join(map(json.dumps, lines)))
    ((chunk,), bad) = read(path)
    assert list(chunk.places) == [1, 3, 5]
    assert chunk.cells == {
        "a": ["1", "2.5", "true"],
        "b": ["x", "", ""],
        "c": ["", "u|v", ""],
    }
    assert bad.num_rows == 0


def test_json_lines_that_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 1\n[1]\n{"a": {"b": 1}}\n{"a": "\xe9"}\n{"a": 2}')
    ((chunk,), bad) = read(path)
    assert chunk.cells == {"a": ["1", "2"]}
    assert [(row.place, row.reason) for row in bad.rows] == [
        (2, "not JSON"),
        (3, "not an object"),
        (4, "nested value"),
        (5, "not decodable text"),
    ]


@pytest.mark.parametrize(("text", "told"), [('[{"a": 1}]', "JSON list"), ("", "is empty")])
def test_no_json_lines(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        read(path)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pd.DataFrame({"a": [1.0, None, 3.5], "b": ["x", "y", None], "c": [[1, 2], [3], []]})
    table.to_parquet(path)
    ((chunk,), _) = read(path)
    assert list(chunk.places) == [1, 2, 3]
    assert chunk.cells == {"a": ["1.0", "", "3.5"], "b": ["x", "y", ""], "c": ["1|2", "3", ""]}


def test_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(path)
