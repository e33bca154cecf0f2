"""Files that are complete or absent."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write ``path`` so that a reader, or a kill, finds the old content or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as strict JSON, atomically; numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        UserError: if it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError.of(str(path), f"is damaged: it holds no JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError.of(str(path), "is damaged: it holds no JSON object")
    return content


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
