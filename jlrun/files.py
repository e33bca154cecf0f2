"""Files that are complete or absent."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun import saved_text


def write_text(path: Path, text: str) -> None:
    """Write ``path`` so that a reader, or a kill, finds the old content or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    # Made anew: a link that stands there in the folder of someone else's run is not followed.
    with partial.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``path`` as `write_text` does; several processes may write it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as strict JSON, atomically; numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        UserError: if it can't be read as such.
    """
    return saved_text.read_json(path)


def copy_folder(
    source: Path, folder: Path, partial: Path, extra: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Copy ``source`` so that ``folder`` is complete or absent; one that is there already stays.

    Args:
        source: a folder that nobody writes to.
        folder: where the copy goes.
        partial: beside ``folder``, of no other process: where the copy grows; a kill may leave it.
        extra: file name -> content of JSON files to add.

    Returns:
        whether the copy is what stands there now.
    """
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial)
        for name, content in extra.items():
            write_json(partial / name, content)
        for path in partial.rglob("*"):
            if path.is_file():
                _sync(path)
        os.rename(partial, folder)
    except OSError:
        if folder.exists():  # as a folder that is not empty answers a rename onto it
            return False
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
