"""Paths of this machine, cut to names in whatever leaves it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# Of a value that is a path as a whole: absolute, of the home folder or above the working directory.
_PATH = re.compile(r"(~[\w.-]*/|/|[A-Za-z]:[\\/]|\.\.[\\/])[^\n]*")
# Folders of an absolute path within a text.
_FOLDERS = re.compile(r"(?<![\w.…/~-])(?:~|\.\.)?/(?:[^\s/'\",\]\[{}=]+/)+")


def without_local_paths(value: Any) -> Any:
    """Return plain values in which paths of this machine are names alone.

    Relative paths below the working directory stay: they hold wherever the project lies.
    """
    if isinstance(value, Mapping):
        return {key: without_local_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_local_paths(inner) for inner in value]
    return cut(value) if isinstance(value, str) else value


def cut(text: str) -> str:
    """Return a path of this machine as its name, and any other text without folders of such."""
    if _PATH.fullmatch(text):
        return PurePath(text.replace("\\", "/")).name or text
    return without_folders(text)


def without_folders(text: str) -> str:
    """Return a text in which absolute paths are ``…/name``."""
    return _FOLDERS.sub("…/", text)


def shared_overrides(overrides: list[str]) -> list[str]:
    """Return overrides without Hydra's own, which say where a run lies, and without local paths."""
    kept = [text for text in overrides if not text.startswith("hydra.")]
    parts = (text.partition("=") for text in kept)
    return [f"{key}{sign}{cut(_unquoted(value))}" for key, sign, value in parts]


def _unquoted(value: str) -> str:
    """Return a value without quotes around it, if it is a path."""
    inner = value.strip("'\"")
    return inner if _PATH.fullmatch(inner) else value
