"""Array files: whatever a damaged one makes NumPy run into is one kind of error."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from jlrun.array_files import load_array, load_arrays
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import archive_bytes, array_bytes


@pytest.mark.parametrize("number", range(60))
def test_a_damaged_file_is_read_or_refused(number: int, tmp_path: Path) -> None:
    rng = random.Random(number)
    array = np.arange(12.0).reshape(3, 4)
    for name, content, load in (
        ("x.npy", array_bytes(array), load_array),
        ("x.npz", archive_bytes(a=array), load_arrays),
    ):
        (tmp_path / name).write_bytes(mutated(rng, content, text=False)[0])
        try:
            load(tmp_path / name)
        except (OSError, ValueError):
            continue


def test_a_header_that_is_no_python(tmp_path: Path) -> None:
    content = array_bytes(np.zeros(3)).replace(b"{'descr'", b"{('descr")
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        load_array(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match="damaged"):
        (load_array if name == "x.npy" else load_arrays)(tmp_path / name)


def test_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Object arrays"):
        load_array(tmp_path / "x.npy")


def test_an_archive_is_not_one_array(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(archive_bytes(a=np.zeros(3)))
    with pytest.raises(ValueError, match="not one array"):
        load_array(tmp_path / "x.npy")
