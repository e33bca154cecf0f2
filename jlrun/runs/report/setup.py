"""Setup of a run, as its files have it: data, model, recipe, versions and command."""

from __future__ import annotations

import csv
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import read_json, reading
from jlrun.files.bounded_text import read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.formats import format_count
from jlrun.runs.listing.filters import values_at, values_of
from jlrun.runs.listing.found import Found
from jlrun.wording import counted

MOST_CLASSES = 12
_RECIPE = ("epochs", "batch_size", "optimizer.lr", "scheduler", "patience", "seed")
_MODEL = ("fusion", "weighting", "sharing", "balance", "heads")


def setup_facts(run: Found) -> dict[str, list[str]]:
    """Return label -> lines; what can't be read is left out."""
    files = RunDirectory(run.directory)
    environment, model = _json(files.environment), _json(files.model)
    facts = {
        "data": [*_datasets(run), *_rows(files.splits)],
        "tasks": list(_tasks(model)),
        "inputs": list(_inputs(run, model)),
        "model": [line for line in (_parameters(run), _settings(run, _MODEL)) if line],
        "recipe": [_settings(run, _RECIPE)],
        "device": [str(environment["device"])] if environment.get("device") else [],
        "versions": [_versions(environment)] if environment else [],
        "folder": [str(run.directory.resolve())],
    }
    return {label: [line for line in lines if line] for label, lines in facts.items()}


def command_of(run: Found) -> str:
    """Return the command that trains a run anew."""
    return shlex.join(["jlrun", *run.overrides])


def _json(file: Path) -> Mapping[str, Any]:
    with suppress(UserError):
        return read_json(file)
    return {}


def _datasets(run: Found) -> Iterator[str]:
    for key in ("dataset", "source", "target"):
        names = [str(v) for k in (f"dataset@{key}", key) for v in values_of(run, k)]
        if names and not names[0].startswith("{"):
            paths = [str(path) for path in values_of(run, f"{key}.path")]
            yield " ".join([f"{key}={names[0]}", *paths[:1]])


def _rows(splits: Path) -> list[str]:
    """Return the number of rows of each split."""
    with suppress(UserError), reading(splits):
        found: dict[str, Counter[str]] = {}
        for row in csv.DictReader(read_bounded(splits).splitlines()):
            found.setdefault(row["data"], Counter())[row["split"]] += 1
        return [f"{name}: {_counts(each)}" for name, each in found.items()]
    return []


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{format_count(number)} {split}" for split, number in found.items())


def _tasks(model: Mapping[str, Any]) -> Iterator[str]:
    for name, head in (model.get("heads") or {}).items():
        kind = str((head.get("kind") or {}).get("_target_", "")).rpartition(".")[2].lower()
        classes = [str(c) for c in head.get("classes") or ()]
        shown = ", ".join(classes[:MOST_CLASSES]) + (", …" if len(classes) > MOST_CLASSES else "")
        yield f"{name}: {kind}" + (
            f", {counted(len(classes), 'class')}: {shown}" if classes else ""
        )


def _inputs(run: Found, model: Mapping[str, Any]) -> Iterator[str]:
    for name, spec in (model.get("modalities") or {}).items():
        encoder = _class(values_at(run.config, f"backbone.{spec.get('kind')}._target_"))
        sizes = [spec[key] for key in ("channels", "height", "width") if spec.get(key)]
        shape = " × ".join(map(str, sizes))
        yield ", ".join(part for part in (f"{name}: {spec.get('kind')}", shape, encoder) if part)


def _class(targets: Iterator[Any]) -> str:
    return str(next(targets, "")).rpartition(".")[2]


def _parameters(run: Found) -> str:
    model = run.result.get("model") or {}
    total, trained = model.get("parameters"), model.get("trainable")
    if not total:
        return ""
    share = "" if trained in (total, None) else f", {format_count(trained)} of them trained"
    return f"{format_count(total)} parameters{share}"


def _settings(run: Found, keys: tuple[str, ...]) -> str:
    pairs = ((key, next(map(str, values_of(run, key)), None)) for key in keys)
    return ", ".join(f"{key}={value}" for key, value in pairs if value not in (None, "None"))


def _versions(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages") or {}
    commit = str(environment.get("git_commit") or "")[:12]
    changed = ", changed" if environment.get("git_changed") else ""
    parts = [f"Python {environment.get('python')}", *(f"{n} {v}" for n, v in packages.items())]
    return ", ".join([*parts, *([f"commit {commit}{changed}"] if commit else [])])
