"""What is wrong with a place before any work."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.files.places import Reserve, check_file, check_folder, described, is_of_disk, writable


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("file/x.csv", "Not a directory"),
        ("n" * 254 + ".csv", "File name too long"),
        ("folder", "is a folder"),
        ("pipe", "no regular file"),
        ("file/deeper/x.csv", "Not a directory"),
    ],
)
def test_files_that_can_not_be_written(tmp_path: Path, place: str, expected: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=f"--output: .*{expected}"):
        check_file(tmp_path / place, "--output")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_file_system_that_takes_no_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--output: '/proc"):
        check_file(Path("/proc/x.csv"), "--output")
    with pytest.raises(
        UserError, match="'/proc/x/y': '/proc' takes no new files or folders; choose"
    ):
        check_folder(Path("/proc/x/y"), "hydra.run.dir")
    with pytest.raises(UserError, match="/dev/null' is no regular file"):
        check_file(Path("/dev/null"), "--output")


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_file(tmp_path / "a" / "b.csv", "--output")
    check_folder(tmp_path / "a" / "b", "--output")
    assert list(tmp_path.iterdir()) == []


def test_only_errors_of_files_are_taken_for_such(tmp_path: Path) -> None:
    assert is_of_disk(OSError(errno.ENOSPC, "full"))
    assert not is_of_disk(ConnectionResetError(errno.ECONNRESET, "reset"))
    assert not is_of_disk(OSError("of a library"))
    with pytest.raises(shutil.Error) as error:
        raise shutil.Error([("a", "b", "No space left on device")])
    assert described(error.value, tmp_path) == "'a' can't be copied: No space left on device"


def test_an_error_about_another_file_does_not_blame_the_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^/data/x\.csv: Permission denied$"):  # noqa: SIM117
        with writable("hydra.run.dir", tmp_path / "run"):
            raise PermissionError(errno.EACCES, "Permission denied", "/data/x.csv")


def test_reserved_space_is_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.take()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == 64 * 1024
    reserve.free()
    reserve.free()
    assert list(tmp_path.iterdir()) == []
