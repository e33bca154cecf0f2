"""Atomic files: complete or absent, with one-line errors for damaged ones."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.errors import UserError
from jlrun.files.bounded_text import parse_json, read_bounded

if TYPE_CHECKING:
    from pydantic import BaseModel

RESTORE = "restore it from a copy"
REWRITE = "delete it, and `jlrun resume` writes it anew"


def write_text(path: Path, text: str) -> None:
    """Write ``path`` atomically: readers and kills find the old or the new content, whole.

    Raises:
        OSError: if the disk is full, or the place can't be written; the old content remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, text.encode("utf-8"))


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write ``path`` atomically, as `write_text` does, from chunks that are made meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace_by(path.with_name(f".{path.name}.new"), path, chunks)


def copy_file(source: Path, path: Path) -> None:
    """Copy the content of a file to ``path`` atomically, as `write_chunks` does."""
    with source.open("rb") as file:
        write_chunks(path, iter(lambda: file.read(1 << 20), b""))


def replace(path: Path, content: bytes) -> None:
    """Replace a file by ``content`` atomically; see `write_text`."""
    _replace_by(path.with_name(f".{path.name}.new"), path, [content])


def replace_shared(path: Path, content: bytes) -> None:
    """Replace a file by ``content`` atomically, also while other processes write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace_by(path.with_name(f".{path.name}.{secrets.token_hex(4)}.new"), path, [content])


def _replace_by(partial: Path, path: Path, chunks: Iterable[bytes]) -> None:
    # A new file: a link planted in the folder of someone else's run is not followed.
    partial.unlink(missing_ok=True)
    try:
        _write(partial, chunks)
        os.replace(partial, path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file and sync it to the disk.

    Raises:
        OSError: naming the file, if the disk is full.
    """
    _write(path, [content])


def _write(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise with_name(error, path) from error


def with_name(error: OSError, path: Path) -> OSError:
    """Return the error with the name of its file, which errors of open files lack."""
    return error if error.filename else OSError(error.errno, error.strerror, str(path))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as strict JSON, atomically; numbers that are not finite become null."""
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(
    path: Path, shape: type[BaseModel] | None = None, fix: str = RESTORE
) -> dict[str, Any]:
    """Return the content of a JSON file, an object.

    Args:
        path: the file.
        shape: required entries; others are allowed.
        fix: what to do if it is damaged.

    Raises:
        UserError: if it is missing, damaged, not an object, or of another shape.
    """
    with reading(path, fix):
        content = parse_json(read_bounded(path))
        if not isinstance(content, dict):
            raise TypeError("an object was expected")
        if shape is not None:
            shape.model_validate(content, strict=True)
    return content


@contextmanager
def reading(path: Path, fix: str = RESTORE) -> Iterator[None]:
    """Turn errors in the content of a file into one line.

    Raises:
        UserError: for any error that shows that the file is not as jlrun wrote it.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError.of(str(path), f"is missing; {RESTORE}") from error
    except OSError as error:
        raise UserError.of(str(path), f"can't be read ({error.strerror})") from error
    except (
        ValueError,  # also the errors of JSON, Pydantic and UTF-8
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise UserError.of(str(path), f"is damaged ({_why(error)}); {fix}") from error


def copy_folder(
    source: Path, folder: Path, partial: Path, extra: Mapping[str, Mapping[str, Any]], leave: str
) -> bool:
    """Copy ``source`` atomically, readable as the umask says; an existing ``folder`` is kept.

    Args:
        source: a folder that no process writes to.
        folder: the destination.
        partial: temporary folder next to ``folder``, of this process alone; a kill may leave it.
        extra: file name -> content of JSON files to add.
        leave: pattern of names to skip.

    Returns:
        whether ``folder`` is this copy.
    """
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy_files(source, partial, leave)
        for name, content in extra.items():
            write_json(partial / name, content)
        for path in partial.rglob("*"):
            if path.is_file():
                sync(path)
        os.rename(partial, folder)
    except OSError:
        if folder.exists():  # renaming onto a folder that is not empty fails
            return False
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _copy_files(source: Path, folder: Path, leave: str) -> None:
    """Copy content alone: `shutil.copytree` would copy permissions, too."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if fnmatch(path.name, leave):
            continue
        if path.is_dir():
            _copy_files(path, folder / path.name, leave)
        else:
            shutil.copyfile(path, folder / path.name)


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def finite(value: Any) -> Any:
    """Return plain values for JSON: numbers that are not finite are None."""
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
