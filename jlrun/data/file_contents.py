"""Cache of file checks, shared by all runs: a file that was checked is not decoded again.

A file is identified by path, size and time of change; the cache has 64 bits of a hash of its
content. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import numpy as np

from jlrun.files import limits as file_limits
from jlrun.files.atomic import replace_shared
from jlrun.files.places import user_cache

_VERSION = 1  # of the code that reads files
_MOST = 4_000_000  # records in a file of the cache


class FileContents:
    """Content hashes of readable files, one cache file for each parent of their folders."""

    def __init__(self) -> None:
        self._folder = user_cache() / "files"
        self._known = dict[str, dict[int, int]]()
        self._new = defaultdict[str, dict[int, int]](dict)

    def get(self, path: str) -> int | None:
        """Return the hash of a file's content; None if it is unknown, or the file has changed.

        Raises:
            OSError: if the file is not there.
        """
        name, state = _name(path), _state(path)
        if name not in self._known:
            self._known[name] = _read(self._folder / name)
        found = self._known[name].get(state)
        return self._new[name].get(state) if found is None else found

    def add(self, path: str) -> int:
        """Add a readable file; return the hash of its content.

        Raises:
            OSError: if it can't be read.
        """
        state = _state(path)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).digest()
        content = int.from_bytes(digest, "little")
        self._new[_name(path)][state] = content
        return content

    def save(self) -> None:
        """Merge the added files into the cache on disk, if it can be written."""
        for name, new in self._new.items():
            if not new:
                continue
            merged = list((_read(self._folder / name) | new).items())[-_MOST:]
            table = np.array(merged, np.uint64)
            with suppress(OSError):  # the cache only saves time
                replace_shared(self._folder / name, table.tobytes())


def _name(path: str) -> str:
    """Return the name of the cache file for a path: one for each parent of its folder."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    key = f"{_VERSION} {file_limits.limit()} {folder}"
    return hashlib.sha256(os.fsencode(key)).hexdigest()[:24]


def _read(file: Path) -> dict[int, int]:
    try:
        content = file.read_bytes()
    except OSError:
        return {}
    table = np.frombuffer(content[: len(content) // 16 * 16], np.uint64).reshape(-1, 2)
    return dict(zip(table[:, 0].tolist(), table[:, 1].tolist(), strict=True))


def _state(path: str) -> int:
    found = os.stat(path)
    text = f"{found.st_size} {found.st_mtime_ns} {os.path.abspath(path)}"
    return int.from_bytes(hashlib.blake2b(os.fsencode(text), digest_size=8).digest(), "little")
