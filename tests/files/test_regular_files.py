"""What is no regular file is refused before it is opened, wherever a user names a file."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from jlrun.data.datasets.domain_folders import read_image_list
from jlrun.data.reading.arrays import load_array, load_arrays
from jlrun.data.reading.audio import read_audio
from jlrun.data.reading.image_files import read_image
from jlrun.data.reading.inputs import read_inputs
from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.media import read_array
from jlrun.data.tables.files.reading import read_chunks
from jlrun.errors import UserError
from jlrun.files.regular import why_not_regular
from jlrun.models.class_vectors.files import read_table
from jlrun.models.weight_files.reading import read_weights

SPEC = {"image": ImageSpec(3, 8, 8, (), ())}
READERS: dict[str, Callable[[Path], object]] = {
    "a.png": lambda path: read_image(path, 8, 3),
    "b.wav": lambda path: read_audio(path, AudioSpec(100, 8000)),
    "c.npy": load_array,
    "d.npz": load_arrays,
    "e.csv": read_array,
    "f.txt": read_image_list,
    "g.yaml": lambda path: read_table(path, ["a"], "where"),
    "h.pth": lambda path: read_weights(path, "where"),
    "i.safetensors": lambda path: read_weights(path, "where"),
    "j.csv": lambda path: list(read_chunks(path, Reading(), BadRows(path), "dataset")),
    "k.jsonl": lambda path: list(read_chunks(path, Reading(), BadRows(path), "dataset")),
    "l.parquet": lambda path: list(read_chunks(path, Reading(), BadRows(path), "dataset")),
    "m.png": lambda path: read_inputs(path, SPEC),
    "n.csv": lambda path: read_inputs(path, SPEC),
    "o.npz": lambda path: read_inputs(path, SPEC),
}


@pytest.mark.parametrize("name", READERS)
def test_a_named_pipe_is_refused_and_does_not_hang(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(UserError, match="is a named pipe; expected a file"):
        READERS[name](path)


def test_every_kind_of_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").touch()
    (tmp_path / "good").symlink_to(tmp_path / "file")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
    assert why_not_regular(tmp_path) == "is a folder; expected a file"
    assert why_not_regular("/dev/zero") == "is a device; expected a file"
    assert why_not_regular(tmp_path / "socket") == "is a socket; expected a file"
    assert why_not_regular(tmp_path / "link") == "is a link to nothing"
    assert why_not_regular(tmp_path / "none") == "can't be read: No such file or directory"
    assert why_not_regular("a\0b") == "is not a path: embedded null byte"
    assert why_not_regular(tmp_path / "file") is None
    assert why_not_regular(tmp_path / "good") is None
