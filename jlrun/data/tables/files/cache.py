"""Cache of converted tables, shared by all runs on the same file."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path

from jlrun.data.tables.files.conversion import Wanted, convert, state_of_files
from jlrun.data.tables.files.store import DESCRIPTION, Store
from jlrun.errors import UserError
from jlrun.files.places import FULL, user_cache

# Of the form of converted tables.
_VERSION = 4


def stored(wanted: Wanted, cache: Path, where: str) -> Store:
    """Return the columns of a table, converted now or taken from the cache.

    Args:
        wanted: columns to read.
        cache: folder of converted tables; tables of older versions of this file are deleted.
        where: config path of the data set, for errors.

    Raises:
        UserError: if the file or the cache can't be read or written.
    """
    try:
        state = wanted.path.stat()
    except OSError as error:
        raise UserError.of(f"{where}.path", f"'{wanted.path}': {error.strerror}") from error
    source = _hash(str(wanted.path.resolve()))
    now = _hash(state.st_size, state.st_mtime_ns)
    options = _hash(
        _VERSION,
        asdict(wanted.reading),
        dict(wanted.forms),
        list(wanted.inputs),
        list(wanted.files),
        wanted.files_key,
        str(wanted.folder.resolve()),
    )
    folder = cache / f"{source}_{now}_{options}"
    if (folder / DESCRIPTION).is_file():
        store = Store(folder)
        # A bad file may have been corrected since.
        mended = bool(wanted.files) and store.bad().num_rows > 0
        if not mended and store.description["files"] == state_of_files(store, wanted):
            return store
        shutil.rmtree(folder, ignore_errors=True)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _forget(cache, source, now)
        partial = cache / f".{folder.name}.{secrets.token_hex(4)}"
        try:
            partial.mkdir()
            convert(wanted, partial, where)
            _place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        fix = f"choose another folder by {where}.cache"
        fix = f"free some space, or {fix}" if error.errno in FULL else fix
        raise UserError.of(f"{where}.cache", f"'{cache}': {error.strerror}; {fix}") from error
    return Store(folder)


def cache_folder(asked: str | None) -> Path:
    """Return the folder of converted tables: the given one, or that of the user's cache."""
    if asked is not None:
        return Path(asked).expanduser()
    return user_cache() / "tables"


def _place(partial: Path, folder: Path) -> None:
    try:
        os.rename(partial, folder)
    except OSError:
        if not (folder / DESCRIPTION).is_file():  # another process was faster
            raise


def _forget(cache: Path, source: str, now: str) -> None:
    for old in cache.glob(f"{source}_*"):
        if not old.name.startswith(f"{source}_{now}_"):
            shutil.rmtree(old, ignore_errors=True)


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:12]
