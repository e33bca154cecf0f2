"""Training, validation and test files differ."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jlrun.data.tables.files.request import check_distinct_files
from jlrun.errors import UserError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    (tmp_path / "folder").mkdir()
    return tmp_path / "t.csv"


@pytest.mark.parametrize("how", ["same", "through a folder", "relative", "symlink", "hard link"])
def test_one_file_by_any_path_is_refused(
    table: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = table.parent / "other.csv"
    if how == "symlink":
        other.symlink_to(table)
    elif how == "hard link":
        os.link(table, other)
    monkeypatch.chdir(table.parent)
    path = {
        "same": str(table),
        "through a folder": f"{table.parent}/folder/../t.csv",
        "relative": "t.csv",
    }.get(how, str(other))
    for key in ("val_path", "test_path"):
        with pytest.raises(UserError, match=rf"dataset\.{key}: .* is the file of dataset\.path"):
            check_distinct_files({"path": str(table), key: path}, "dataset")


def test_equal_bytes_are_refused_and_others_are_not(table: Path) -> None:
    copy = table.parent / "copy.csv"
    shutil.copy(table, copy)
    given = {"path": "absent.csv", "val_path": str(table), "test_path": str(copy)}
    with pytest.raises(UserError, match=r"test_path: .*same content as the file of source\.val"):
        check_distinct_files(given, "source")
    copy.write_text("x,y\n1,3\n")
    check_distinct_files(given | {"path": None}, "source")
