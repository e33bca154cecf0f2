"""Runs of a table: each in a folder named after its resolved configuration, run once.

A run with another configuration has another folder, so that no cell can show the result of a
configuration that has changed. Folders of runs that it builds on are part of the configuration, and
so are theirs.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.tables.declared import Job, Outside, Result, Source
from jlrun.config import checked
from jlrun.config.compose import Composed
from jlrun.engine import session
from jlrun.errors import RunError
from jlrun.files.atomic import write_json
from jlrun.files.lock import Held
from jlrun.reporting.result import read_result
from jlrun.runs import execution, fingerprints
from jlrun.runs.assembly import assemble
from jlrun.runs.saved_run import to_yaml
from jlrun.runs.settings import RunSettings
from jlrun.runs.sweeps.vectorized import OWN
from jlrun.training.interruption import listening
from jlrun.training.stacked.together import Member, together

AT_ONCE = 16  # runs that train as one
# Parts of a configuration that a score does not depend on, and those of the engine that it does.
_RECORDS = ("baselines_cache", "debug", "recorder")
_ENGINE = ("accumulate", "clip_norm", "precision")
# Parts of a configuration that decide which data a run is given.
_DATA = (
    "mode",
    "strategy",
    "seed",
    "dataset",
    "source",
    "sources",
    "target",
    "tasks",
    "modalities",
)


@dataclass(frozen=True)
class Planned:
    """A run of a table with a seed.

    Attributes:
        source: what runs; ``seed``: of it.
        key: hash of the parts of its resolved configuration that its score depends on, and the name
            of its folder.
        folder: of the run.
        composed: the configuration; None of what is not jlrun's.
    """

    source: Source
    seed: int
    key: str
    folder: Path
    composed: Composed | None


class Runner:
    """Runs of tables in one folder.

    Args:
        out: where the runs are.
        data: the folder of data.
    """

    def __init__(self, out: Path, data: Path) -> None:
        self.out, self.data = out.resolve(), data.resolve()
        self.planned = cache(self._planned)
        self._composed = cache(self._compose)
        self._digests: dict[str, Mapping[str, str]] = {}

    def _planned(self, source: Source, seed: int) -> Planned:
        if isinstance(source, Outside):
            key = _hash(json.dumps([source.name, source.options, seed]))
            return Planned(source, seed, key, self.out / "runs" / key, None)
        composed = self._composed(source, seed if "{seed}" in " ".join(source.overrides) else 0)
        folders = {f"<{n}>": str(self.planned(job, seed).folder) for n, job in source.after.items()}
        config = _replaced({**composed.config, "seed": seed}, folders)
        overrides = [*_replaced(composed.overrides[:-2], folders), f"seed={seed}"]
        text = to_yaml(_deciding(config)).replace(str(self.out), "OUT")
        key = _hash(text.replace(str(self.data), "DATA"))
        folder = self.out / "runs" / key
        made = replace(composed, config=config, overrides=overrides, run_dir=folder)
        return Planned(source, seed, key, folder, made)

    def _compose(self, job: Job, seed: int) -> Composed:
        """Return the configuration of a job, with ``<name>`` for the folders of other runs."""
        names = {"seed": str(seed), "data": str(self.data), **{n: f"<{n}>" for n in job.after}}
        overrides = [
            _replaced(text, {"{" + name + "}": value for name, value in names.items()})
            for text in job.overrides
        ]
        return checked([*overrides, f"seed={seed}", f"baselines_cache={self.out / 'cache'}"])

    def run(self, runs: Sequence[Planned], stacked: bool) -> None:
        """Complete runs and those they build on; those that diverge are left failed.

        Several processes may work on the same runs: what another one does is left to it.

        Raises:
            UserError: if a declaration is wrong.
        """
        before = [
            self.planned(job, run.seed)
            for run in runs
            if isinstance(run.source, Job)
            for job in run.source.after.values()
        ]
        if before:
            self.run(before, stacked)
        left = {run.key: run for run in runs if self.result(run) is None}
        for group in _groups(list(left.values())) if stacked else [[r] for r in left.values()]:
            start = time.perf_counter()
            due = [run for run in group if self.result(run) is None]  # nobody did it meanwhile
            for run in due:
                print("run", run.key, *_told(run), file=sys.stderr, flush=True)
            try:
                _run_group(due, self.data)
            except Held as error:
                print(f"left to another process: {error}", file=sys.stderr, flush=True)
            print(f"took {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)

    def result(self, run: Planned) -> Result | None:
        """Return the result of a run that is complete."""
        found = read_result(run.folder)
        return found if found is not None and found["status"] == "completed" else None

    def failure(self, run: Planned) -> str | None:
        """Return why a run failed; None if it did not."""
        found = read_result(run.folder)
        return found["error"] if found is not None and found["status"] == "failed" else None

    def digests(self, run: Planned) -> Mapping[str, str]:
        """Return stream -> digest of the data that a complete run learned from."""
        found = fingerprints.read(run.folder)
        return {} if found is None else fingerprints.digests(found)

    def digests_now(self, run: Planned) -> Mapping[str, str]:
        """Return stream -> digest of the data as it is; each data set is loaded once."""
        if run.composed is None:
            return {}
        config = {key: run.composed.config.get(key) for key in _DATA}
        key = json.dumps(config, sort_keys=True, default=str)
        if key not in self._digests:
            settings = RunSettings.parse(run.composed.config)
            self._digests[key] = fingerprints.digests(assemble(settings).fingerprint)
        return self._digests[key]


def _run_group(group: Sequence[Planned], data: Path) -> None:
    if len(group) < 2:
        for run in group:
            _run_one(run, data)
        return
    with session(threads=1, deterministic=False), listening() as stopped:

        @contextmanager
        def within(settings: RunSettings) -> Iterator[Any]:
            yield stopped

        def training(run: Planned) -> Any:
            if (run.folder / "config.yaml").is_file():
                return execution.resuming(run.folder, surroundings=within)
            assert run.composed is not None
            return execution.executing(run.composed, surroundings=within)

        members = [Member(run.key, training(run), _common(run)) for run in group]
        errors: list[BaseException] = []

        def ended(member: Member) -> None:
            if member.error is not None and not isinstance(member.error, RunError):
                errors.append(member.error)

        together(members, ended, stopped, lambda line: print(line, file=sys.stderr, flush=True))
    if errors:
        raise errors[0]


def _run_one(run: Planned, data: Path) -> None:
    if isinstance(run.source, Outside):
        start = time.process_time()
        found = run.source.function(run.seed, data, **dict(run.source.options))
        cost = {"train_seconds": time.process_time() - start}
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / "result.json", {"status": "completed", "cost": cost, **found})
        return
    try:
        if (run.folder / "config.yaml").is_file():
            execution.resume(run.folder)
        else:
            assert run.composed is not None
            execution.execute(run.composed)
    except RunError as error:
        print(f"{run.key} failed: {error}", file=sys.stderr, flush=True)


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a configuration that a score depends on, rounding left aside."""
    kept = {key: value for key, value in config.items() if key not in _RECORDS}
    return kept | {"engine": {key: config["engine"][key] for key in _ENGINE}}


def _groups(runs: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Yield runs that may train as one, `AT_ONCE` at most."""
    alike: dict[str, list[Planned]] = {}
    for run in runs:
        alike.setdefault(run.key if run.composed is None else _common(run), []).append(run)
    for group in alike.values():
        for first in range(0, len(group), AT_ONCE):
            yield group[first : first + AT_ONCE]


def _common(run: Planned) -> str:
    assert run.composed is not None
    config = {key: value for key, value in run.composed.config.items() if key not in OWN}
    return json.dumps(config, sort_keys=True, default=str)


def _told(run: Planned) -> Sequence[str]:
    if isinstance(run.source, Outside):
        return (run.source.name, str(dict(run.source.options)), f"seed={run.seed}")
    return (*run.source.overrides, f"seed={run.seed}")


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with names replaced in all of its texts."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, Mapping):
        return {key: _replaced(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, names) for each in value]
    return value


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
