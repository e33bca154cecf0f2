"""Runs as TensorBoard shows them: by the names of their folders, baselines as runs of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from tensorboard.data.provider import RunTagFilter

FOLDER, TOP = "tb", "."
_BASELINE = re.compile(
    r"baselines/(.+?)/((?:train|val|test|weight|gradient|affinity|balance|data|retrieval)/.+)"
)
Pair = tuple[str, str]


def shown_run(run: str, top: str) -> str:
    """Return the name of a run: its folder below the one that is shown, without ``/tb``.

    Args:
        run: as TensorBoard has it, the folder of an event file.
        top: name of the folder that is shown, for the run that this is.
    """
    if run == FOLDER:
        return top
    return run.removesuffix(f"/{FOLDER}")


def shown_pair(run: str, tag: str, top: str) -> Pair:
    """Return run and tag under which a series is shown."""
    name, found = shown_run(run, top), _BASELINE.fullmatch(tag)
    return (f"{name}/{found[1]}", found[2]) if found else (name, tag)


class ShownRuns:
    """Data provider of TensorBoard with other names; what it lists is what can be read.

    Args:
        provider: of the event files.
        logdir: the folder that is shown.

    Attributes:
        of_files: the provider.
    """

    def __init__(self, provider: Any, logdir: str) -> None:
        self.of_files = provider
        self._top = PurePath(logdir).name or logdir

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of_files, name)

    def list_runs(self, *given: Any, **named: Any) -> list[Any]:
        """Return the runs, and each baseline as one that began with its run."""
        found = list(self.of_files.list_runs(*given, **named))
        begun = {run.run_name: run for run in found}
        asked = {"experiment_id": named["experiment_id"], "plugin_name": "scalars"}
        tables = self.of_files.list_scalars(*given, **asked)
        pairs = [(run, tag) for run, tags in tables.items() for tag in tags]
        # The file of a sweep's columns is no run.
        origins = {
            shown_run(run, self._top): begun[run] for run in begun if run != TOP or run in tables
        }
        for run, tag in pairs:
            if run in begun:
                origins.setdefault(shown_pair(run, tag, self._top)[0], begun[run])
        return [_renamed(run, name) for name, run in origins.items()]

    def list_scalars(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> what is known of a curve."""
        return self._each("list_scalars", given, named)

    def list_tensors(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> what is known of a series of tensors."""
        return self._each("list_tensors", given, named)

    def list_blob_sequences(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> what is known of a series of pictures."""
        return self._each("list_blob_sequences", given, named)

    def read_scalars(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> points of a curve."""
        return self._each("read_scalars", given, named)

    def read_last_scalars(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> the last point of a curve."""
        return self._each("read_last_scalars", given, named)

    def read_tensors(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> tensors."""
        return self._each("read_tensors", given, named)

    def read_blob_sequences(self, *given: Any, **named: Any) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> pictures."""
        return self._each("read_blob_sequences", given, named)

    def _each(
        self, method: str, given: tuple[Any, ...], named: dict[str, Any]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return run -> tag -> what a method of the provider has, as far as it is asked for."""
        asked = named.get("run_tag_filter")
        if asked is not None:
            inner = self._origins(given, named, method, asked)
            named = {**named, "run_tag_filter": inner}
        found: dict[str, dict[str, Any]] = {}
        for run, tags in getattr(self.of_files, method)(*given, **named).items():
            for tag, series in tags.items():
                name, own = shown_pair(run, tag, self._top)
                if asked is None or _is_asked(asked, name, own):
                    found.setdefault(name, {})[own] = series
        return found

    def _origins(
        self, given: tuple[Any, ...], named: dict[str, Any], method: str, asked: RunTagFilter
    ) -> RunTagFilter:
        """Return a filter of the event files that lets through all that is asked for."""
        kind = method.removeprefix("read_last_").removeprefix("read_").removeprefix("list_")
        keys = ("experiment_id", "plugin_name")
        listed = getattr(self.of_files, f"list_{kind}")(*given, **{k: named[k] for k in keys})
        pairs = [
            (run, tag)
            for run, tags in listed.items()
            for tag in tags
            if _is_asked(asked, *shown_pair(run, tag, self._top))
        ]
        return RunTagFilter(runs=_names(r for r, _ in pairs), tags=_names(t for _, t in pairs))


def _names(found: Iterable[str]) -> list[str]:
    return sorted(set(found))


def _is_asked(asked: RunTagFilter, run: str, tag: str) -> bool:
    return (asked.runs is None or run in asked.runs) and (asked.tags is None or tag in asked.tags)


def _renamed(run: Any, name: str) -> Any:
    return type(run)(run_id=name, run_name=name, start_time=run.start_time)
