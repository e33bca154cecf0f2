"""NumPy files whose headers promise more than they hold, or than there is room for."""

import io
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from jlrun.data.reading.arrays import ArrayFileError, load_array, load_arrays
from jlrun.errors import UserError
from jlrun.files import limits as file_limits
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import archive_bytes, array_bytes


def npy(shape: tuple[int, ...], content: bytes, dtype: str = "<f8") -> bytes:
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "<U5", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back(dtype: str, order: str, tmp_path: Path) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4).astype(dtype), order=order)  # pyright: ignore
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array, y=array[:0])
    assert (load_array(tmp_path / "a.npy") == array).all()
    found = load_arrays(tmp_path / "a.npz")
    assert (found["x"] == array).all()
    assert found["y"].shape == (0, 4)


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**31, 2**31, 4), (9,), (-1,)])
def test_a_header_that_promises_more_than_the_file_holds(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    content = npy(shape, bytes(64))
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for read, name in ((load_array, "a.npy"), (load_arrays, "a.npz")):
        with pytest.raises(ArrayFileError, match="its header states"):
            read(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", npy((2,), b"")[:40]])
def test_what_is_no_array(content: bytes, tmp_path: Path) -> None:
    for read in (load_array, load_arrays):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(ArrayFileError):
            read(tmp_path / "a")


def test_python_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ArrayFileError, match="Python objects"):
        load_array(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_more_than_the_budget(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(150_000), y=np.zeros(150_000))
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    file_limits.bound_files(2**21)
    try:
        with pytest.raises(UserError, match=r"2\.29MB in memory, more than engine\.memory_budget"):
            load_arrays(tmp_path / "a.npz")
    finally:
        file_limits.bound_files(file_limits.DEFAULT)


@pytest.mark.parametrize("number", range(60))
def test_a_damaged_file_is_read_or_refused(number: int, tmp_path: Path) -> None:
    rng = random.Random(number)
    array = np.arange(12.0).reshape(3, 4)
    for name, content, load in (
        ("x.npy", array_bytes(array), load_array),
        ("x.npz", archive_bytes(a=array), load_arrays),
    ):
        (tmp_path / name).write_bytes(mutated(rng, content, text=False)[0])
        with suppress(ArrayFileError):
            load(tmp_path / name)
