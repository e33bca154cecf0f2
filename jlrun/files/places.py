"""Places to write to: checks before any work, one-line errors, and a reserve for full disks."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jlrun.errors import UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RESERVED_BYTES = 64 * 1024


@contextmanager
def writable(where: str, place: Path) -> Iterator[None]:
    """Turn an error of the file system into one line.

    Args:
        where: the option or config path that names the place.
        place: subject of errors that name no file.

    Raises:
        UserError: instead of an `OSError` of the file system.
    """
    try:
        yield
    except OSError as error:
        if not is_of_disk(error):
            raise
        if not _concerns(error, place):  # a file that was read
            raise UserError.of(str(error.filename), str(error.strerror)) from error
        fix = "free some space" if error.errno in FULL else "choose a place that can be written"
        found = described(error, place)
        if error.errno == errno.ENOENT and not place.exists():  # as in /proc
            found = f"'{place}': '{_existing(place)}' takes no new files or folders"
        raise UserError.of(where, f"{found}; {fix}") from error


def is_of_disk(error: OSError) -> bool:
    """Whether an error is about a file or folder, not a connection or the like."""
    return isinstance(error, shutil.Error) or (
        error.errno is not None and not isinstance(error, ConnectionError | TimeoutError)
    )


def described(error: OSError, place: Path) -> str:
    """Return an error of the file system in one line, with its file.

    Args:
        error: one for which `is_of_disk` holds.
        place: subject of errors that name no file.
    """
    if isinstance(error, shutil.Error):  # one entry per file: source, target, reason
        source, _, why = error.args[0][0] if isinstance(error.args[0], list) else (place, "", error)
        return f"'{source}' can't be copied: {why}"
    return f"'{error.filename or place}': {error.strerror}"


def check_file(path: Path, where: str) -> None:
    """Check, before any work and without leaving traces, that a file can be written.

    Raises:
        UserError: if it can't, or the path is not a file.
    """
    with writable(where, path):
        for name in (path.name, f".{path.name}.new"):  # as `jlrun.files.atomic` writes it
            with suppress(FileNotFoundError):
                found = os.stat(path.with_name(name)).st_mode
                if not stat.S_ISREG(found):
                    kind = "a folder" if stat.S_ISDIR(found) else "no regular file"
                    raise UserError.of(where, f"'{path}' is {kind}; name a file")
        _probe(path.parent)


def check_folder(path: Path, where: str) -> None:
    """Check, before any work and without leaving traces, that a folder can be created.

    Raises:
        UserError: if it can't, or the path is a file.
    """
    with writable(where, path):
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(path).st_mode):
                raise UserError.of(where, f"'{path}' is a file; name a folder")
        _probe(path)


def _probe(folder: Path) -> None:
    """Write to the folder, or to the existing one above it."""
    folder = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _existing(folder: Path) -> Path:
    """Return the folder, or the existing one above it."""
    folder = folder.absolute()
    while True:
        try:
            os.stat(folder)
        except FileNotFoundError:
            folder = folder.parent
        else:
            return folder


def _concerns(error: OSError, place: Path) -> bool:
    """Whether an error is about a place, its contents, or a folder above it."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return True
    file, place = Path(os.fsdecode(error.filename)).absolute(), place.absolute()
    return (
        file == place
        or place in file.parents
        or file in place.parents
        or (file.parent == place.parent and file.name.startswith(f".{place.name}."))
    )


class Reserve:
    """Disk space that a run keeps, so that it can record its end when the disk is full.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / ".reserve"

    def take(self) -> None:
        """Write a file of random bytes, if there is room for it."""
        try:
            self._file.write_bytes(os.urandom(_RESERVED_BYTES))
        except OSError:
            self.free()

    def free(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def user_cache() -> Path:
    """Return the user's folder for data that may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jlrun"
