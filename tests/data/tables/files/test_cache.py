"""Tables as columns on disk."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from jlrun.data.tables.files.cache import stored
from jlrun.data.tables.files.conversion import CheckFile, Wanted
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.store import Form, Store
from jlrun.errors import UserError


def wanted(
    path: Path,
    inputs: Sequence[str] = (),
    files: dict[str, CheckFile] | None = None,
    optional: bool = False,
    **forms: Form,
) -> Wanted:
    return Wanted(
        path, Reading(), forms, list(inputs or forms), files or {}, "", path.parent, optional
    )


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "t.csv", ["x,y,z", "1,é,a", ",,b", "2.5,longer text,a", "x,v,5.0"])


def test_columns_of_every_form(path: Path, tmp_path: Path) -> None:
    store = stored(wanted(path, x="number", y="text", z="code"), tmp_path / "cache", "dataset")
    assert len(store) == 3
    assert store.num_read == 4
    np.testing.assert_equal(store.numbers("x"), np.array([1, np.nan, 2.5], np.float32))
    assert [store.texts("y")[i] for i in range(3)] == ["é", "", "longer text"]
    assert store.codes("z").tolist() == [0, 1, 0]
    assert store.levels("z") == ["a", "b"]
    assert store.places().tolist() == [2, 3, 4]
    assert store.filled("y").tolist() == [True, False, True]
    assert [(r.place, r.reason, r.detail) for r in store.bad().rows] == [
        (5, "not a number", "x is 'x'")
    ]


def test_levels_of_numbers_are_the_same_however_written(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["z", "5.0", "5", "5.5"])
    store = stored(wanted(path, z="code"), tmp_path / "cache", "dataset")
    assert store.codes("z").tolist() == [0, 0, 1]
    assert store.levels("z") == ["5", "5.5"]


def test_a_row_without_any_input_is_bad(path: Path, tmp_path: Path) -> None:
    only_x = wanted(path, ["x"], x="number", y="text")
    store = stored(only_x, tmp_path / "cache", "dataset")
    assert store.bad().counts() == {"no input": 1, "not a number": 1}


def test_it_may_be_sent_to_other_processes(path: Path, tmp_path: Path) -> None:
    store = stored(wanted(path, y="text"), tmp_path / "cache", "dataset")
    assert store.texts("y")[0] == "é"
    again: Store = pickle.loads(pickle.dumps(store))
    assert again.texts("y")[1] == "longer text"


def test_a_column_that_is_not_there(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no column 'w'"):
        stored(wanted(path, w="text"), tmp_path / "cache", "dataset")
    store = stored(wanted(path, optional=True, w="text", y="text"), tmp_path / "cache", "dataset")
    assert store.absent == ["w"]
    assert not store.filled("w").any()


def test_it_is_converted_once_and_again_when_it_changed(path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = stored(wanted(path, y="text"), cache, "dataset")
    (first.folder / "mark").touch()
    assert (stored(wanted(path, y="text"), cache, "dataset").folder / "mark").exists()
    write(path, ["y", "new"])
    assert stored(wanted(path, y="text"), cache, "dataset").texts("y")[0] == "new"
    assert not first.folder.exists()  # what it was before is not kept
    assert len(list(cache.iterdir())) == 1


def check(path: Path) -> tuple[str, str] | None:
    return None if path.exists() else ("missing file", "gone")


def test_files_that_were_mended_or_lost_are_looked_at_again(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "t.csv", ["f", "a", "b"]), tmp_path / "cache"
    table = wanted(path, files={"f": check}, f="text")
    (tmp_path / "a").touch()
    assert stored(table, cache, "dataset").bad().counts() == {"missing file": 1}
    (tmp_path / "b").touch()
    assert stored(table, cache, "dataset").bad().num_rows == 0
    (tmp_path / "a").unlink()
    assert [row.place for row in stored(table, cache, "dataset").bad().rows] == [2]


def test_a_cache_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"dataset\.cache"):
        stored(wanted(path, y="text"), tmp_path / "file", "dataset")
