"""Broken files are found before training, all of them, and good ones are decoded once."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jlrun.cli.main import main
from jlrun.data.file_checks import check_files
from jlrun.data.reading.image_files import image_rows, square
from jlrun.data.rows import FileRows
from jlrun.data.view import View
from jlrun.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def images(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    paths = [folder / f"{i:03d}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(draw.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
    return paths


def rows_of(paths: list[Path]) -> FileRows:
    return image_rows(paths, {"label": torch.zeros(len(paths), dtype=torch.long)}, square(8, 1))


def test_all_bad_files_are_told_in_one_message(tmp_path: Path) -> None:
    paths = images(tmp_path / "a", 12)
    for path in paths[2:9]:
        path.write_bytes(path.read_bytes()[:60])
    paths[10].unlink()
    os.mkfifo(paths[10])
    paths[11].unlink()
    paths[11].mkdir()
    with pytest.raises(UserError) as caught:
        check_files([rows_of(paths)])
    told = str(caught.value)
    assert told.startswith("9 of 12 files can't be used:")
    assert told.count("not a readable image") == 5
    assert told.endswith("… and 4 more")
    for path in paths[2:9]:
        path.unlink()
    with pytest.raises(UserError, match="2 of 5 files can't be used"):
        check_files([rows_of([*paths[:2], *paths[9:]])])


def test_only_rows_in_use_are_checked(tmp_path: Path) -> None:
    paths = images(tmp_path / "a", 4)
    paths[3].write_bytes(b"broken")
    rows = rows_of(paths)
    check_files([View(rows, torch.tensor([0, 2])), View(rows, torch.tensor([1]))])
    with pytest.raises(UserError, match=r"003\.png: not a readable image \(unknown format\)"):
        check_files([View(rows, torch.tensor([3]))])


def test_a_file_is_decoded_again_when_it_changed_only(tmp_path: Path) -> None:
    paths, decoded = images(tmp_path / "a", 3), list[int]()

    def decode(row: int) -> dict[str, torch.Tensor]:
        decoded.append(row)
        return {"image": torch.zeros(1)}

    column = {"label": torch.zeros(3, dtype=torch.long)}
    rows = FileRows(decode, column, 1, files=lambda row: (str(paths[row]),))
    check_files([rows])
    assert sorted(decoded) == [0, 1, 2]
    check_files([rows])
    assert len(decoded) == 3
    paths[1].write_bytes(b"other")
    os.utime(paths[2], ns=(1, 1))
    check_files([rows])
    assert sorted(decoded[3:]) == [1, 2]


def test_a_cache_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    check_files([rows_of(images(tmp_path / "a", 2))])


def test_a_run_ends_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        for name in ("x", "y"):
            images(tmp_path / "data" / split / name, 20)
    for name in ("x/001.png", "y/002.png"):
        (tmp_path / "data/test" / name).write_bytes(b"\x89PNG")
    named = ["mode=multitask", "dataset=imagefolder", "dataset.root=data", "hydra.run.dir=run"]
    assert main(named) == 2
    told = capsys.readouterr().err
    assert "2 of 80 files can't be used:" in told
    assert "data/test/x/001.png" in told
    assert not Path("run").exists()
