"""A run keeps the file of class vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.models.class_vectors.snapshot import keep, with_kept


@pytest.mark.parametrize("name", ["table.csv", "table.YAML", "table.npy"])
def test_the_copy_stands_in_for_the_file(name: str, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / name
    run.mkdir()
    file.write_text("content")
    node = {"_target_": "x", "attributes": str(file), "scale": 2.0}
    assert with_kept(node, run) == node  # of an older run
    keep(node, ("a", "b"), run)
    file.unlink()
    found = with_kept(node, run)
    assert Path(found["attributes"]).read_text() == "content"
    assert Path(found["attributes"]).parent == run
    assert (found["_target_"], found["scale"]) == ("x", 2.0)


@pytest.mark.parametrize("attributes", ["words", {"a": [1]}, None])
def test_what_is_no_file_stays(attributes: object, tmp_path: Path) -> None:
    node = {} if attributes is None else {"attributes": attributes}
    keep(node, ("a", "b"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert with_kept(node, tmp_path) == node
