"""Baselines that several runs need are trained once: a cache of finished fits.

A sweep over weightings compares all of them with the same single-task models. The cache is a folder
with one folder for each finished fit, named after all that the fit depends on. A run copies from it
before it trains a baseline and adds what it trained itself. Folders appear whole, by a rename, and
never change: readers need no locks. A run that trains a baseline holds a lock on its place, which
ends with its process; others do something else in the meantime, or wait.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from jlrun.errors import UserError
from jlrun.files.atomic import copy_folder, read_json
from jlrun.models import checkpoints
from jlrun.runs.settings import RunSettings
from jlrun.training.plan import Fit

SCORES = "fit.json"
ORIGIN_FILE = "origin.json"
PREDECESSORS = "*.previous"  # of checkpoints, which a finished fit has no use for
# What influences no fit: records, what else is scored in the end, where things lie, whether
# baselines are trained, and how many threads compute.
NEVER_MATTERS = frozenset(
    {"recorder", "diagnosis", "missing", "calibration", "retrieval", "debug"}
    | {"baselines", "references", "baselines_cache"}
)
ENGINE_NEVER_MATTERS = frozenset({"threads", "workers"})


class Origin(BaseModel):
    """Schema of ``origin.json``.

    Attributes:
        run: path of the run that trained the fit, relative to the file's folder or run.
        scores: SHA-256 of the cached ``fit.json``; None in a run's copy.
    """

    run: str
    scores: str | None = None


@dataclass(frozen=True)
class SharedBaselines:
    """Cache of finished baselines, for one run.

    Attributes:
        cache: its folder; None: nothing is shared.
        run_dir: the run.
        config: plain values of its config.
        device_type: where it computes, such as ``cuda``.
        data: stream -> what changes with its rows.
    """

    cache: Path | None
    run_dir: Path
    config: Mapping[str, Any]
    device_type: str
    data: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: RunSettings,
        run_dir: Path,
        device_type: str,
        data: Mapping[str, str] | None = None,
    ) -> SharedBaselines:
        """Return the cache that the config names."""
        path = settings.baselines_cache
        cache = None if path is None else Path(path).expanduser().absolute()
        return cls(cache, run_dir.absolute(), settings.config, device_type, data or {})

    @contextmanager
    def claimed(self, fit: Fit) -> Iterator[bool]:
        """Yield whether a fit may be fetched or trained now: no other run is training it."""
        cached = self._place(fit)
        if cached is None or cached.exists():
            yield True
            return
        lock = FileLock(cached.with_name(f".{cached.name}.lock"), timeout=0)
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError:  # a cache that can't be written to, as `publish` will say
            yield True
            return
        try:
            yield True
        finally:
            lock.release()

    def fetch(self, fit: Fit, folder: Path) -> Path | None:
        """Copy a finished fit to ``folder``, unless something of the run's own is there.

        Args:
            fit: the baseline.
            folder: where its checkpoints belong.

        Returns:
            the run that trained it; None if nothing was copied.

        Raises:
            UserError: if its files are damaged.
        """
        cached = self._place(fit)
        if cached is None or folder.exists() or not (cached / ORIGIN_FILE).is_file():
            return None
        origin = _read_origin(cached)
        folder.parent.mkdir(parents=True, exist_ok=True)
        added = {ORIGIN_FILE: {"run": os.path.relpath(origin, self.run_dir)}}
        copy_folder(cached, folder, folder.with_name(f".{folder.name}.new"), added, PREDECESSORS)
        return origin

    def publish(self, fit: Fit, folder: Path) -> None:
        """Add the finished fit in ``folder``, unless it came from the cache or is there already.

        Raises:
            OSError: if the cache can't be written to.
        """
        cached = self._place(fit)
        if cached is None or cached.exists() or (folder / ORIGIN_FILE).exists():
            return
        cached.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "run": os.path.relpath(self.run_dir, cached),
            "scores": _digest(folder),
            "depends_on": self.depends_on(fit),
        }
        # Named after the run, so that it finds what a kill left behind, and no other run does.
        mine = hashlib.sha256(str(self.run_dir).encode()).hexdigest()[:8]
        partial = cached.with_name(f".{cached.name}.{mine}.new")
        copy_folder(folder, cached, partial, {ORIGIN_FILE: content}, PREDECESSORS)

    def depends_on(self, fit: Fit) -> dict[str, Any]:
        """Return all that the outcome of a fit depends on, the rows of its data sets included."""
        settings = self.config
        ignored = NEVER_MATTERS | (fit.independent_of or frozenset())
        engine = {k: v for k, v in settings["engine"].items() if k not in ENGINE_NEVER_MATTERS}
        kept = {name: value for name, value in settings.items() if name not in ignored}
        return {
            "versions": {name: version(name) for name in ("jlrun", "torch")},
            # Relative paths in the settings begin here.
            "working_directory": str(Path.cwd()),
            "fit": fit.name,
            "modalities": list(fit.modalities),
            "heads": list(fit.heads),
            "phases": [[phase.name, phase.epochs, phase.steps_per_epoch] for phase in fit.phases],
            "data": {s: d for s, d in self.data.items() if s.split(".")[0] not in ignored},
            "settings": kept | {"engine": engine | {"device": self.device_type}},
        }

    def _place(self, fit: Fit) -> Path | None:
        if self.cache is None or fit.independent_of is None:
            return None
        return self.cache / fingerprint(self.depends_on(fit))


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of plain values, as JSON.

    The order of keys counts: that of tasks decides which head is initialised first.
    """
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def origins(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return fit -> the run that trained it, relative to this one, for those that were copied.

    Args:
        folders: fit -> folder of its checkpoints.
    """
    files = {name: folder / ORIGIN_FILE for name, folder in folders.items()}
    return {name: read_json(file, Origin)["run"] for name, file in files.items() if file.is_file()}


def _read_origin(cached: Path) -> Path:
    """Return the run that trained a cached fit, whose files are as they were written.

    Raises:
        UserError: if they are not.
    """
    fix = f"delete '{cached}', which runs share: the next one trains it anew"
    origin = read_json(cached / ORIGIN_FILE, Origin, fix)
    if not (cached / SCORES).is_file() or origin.get("scores") != _digest(cached):
        raise UserError.of(str(cached / SCORES), f"is damaged (it has another checksum); {fix}")
    for sums in sorted(cached.rglob(checkpoints.SUMS)):
        try:
            checkpoints.verify(sums.parent)
        except UserError as error:
            raise UserError.of("baselines_cache", f"{error}; {fix}") from error
    return Path(os.path.normpath(cached / origin["run"]))


def _digest(folder: Path) -> str:
    """Return the SHA-256 of a fit's scores."""
    return hashlib.sha256((folder / SCORES).read_bytes()).hexdigest()
