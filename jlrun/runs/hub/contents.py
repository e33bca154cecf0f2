"""Contents of a pushed run: what its selected model takes to predict, and the record of its scores.

Rows are left out, and what shows or names them: tables given as frames, splits, predictions,
pictures. So are the baselines, the checkpoint that training would go on from, and the log.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import read_json, write_json, write_text
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.reporting.shared_events import write_shared_events
from jlrun.runs.fingerprints import without_names
from jlrun.runs.local_paths import shared_overrides, without_local_paths
from jlrun.runs.saved_run import check_links, load_config, to_yaml

SUMS = "SHA256SUMS"
README = "README.md"
# What a pulled run may consist of, as patterns of paths.
_RUN = RunDirectory(Path())
KNOWN = (
    *(str(p) for p in (_RUN.config, _RUN.overrides, _RUN.result, _RUN.model, _RUN.calibration)),
    *(str(p) for p in (_RUN.environment, _RUN.table, _RUN.metrics, _RUN.fingerprint)),
    *("class_vectors.*", "checkpoints/best/*", "tb/events.out.tfevents.shared", SUMS),
)
LARGEST_SUMS = 2**20  # bytes


def is_known(path: str) -> bool:
    """Return whether a path is one that a pushed run has; folders match no ``*``."""
    return any(fnmatch(path, p) and path.count("/") == p.count("/") for p in KNOWN)


def write_contents(directory: Path, folder: Path, fingerprint: bool) -> None:
    """Write what is pushed of a run into an empty folder, without its card.

    Args:
        directory: of the run.
        folder: where it goes.
        fingerprint: also hashes of the rows, by which changed data is noticed.

    Raises:
        UserError: if there is no complete run with a selected model, or it can't be used elsewhere.
    """
    check_links(directory)
    config, overrides = load_config(directory)
    run, out = RunDirectory(directory), RunDirectory(folder)
    result = read_result(directory) or {}
    if result.get("status") != "completed" or not run.best.is_dir() or not run.model.is_file():
        raise UserError.of(str(directory), "only complete runs with a selected model are pushed")
    _check_portable(read_json(run.model), config)
    write_text(out.config, to_yaml(without_local_paths(config)))
    write_text(out.overrides, to_yaml(shared_overrides(list(overrides))))
    write_json(out.result, _shared_result(result))
    _copy(run, out)
    if run.environment.is_file():
        write_json(out.environment, _shared_environment(read_json(run.environment)))
    if run.table.is_file():
        write_json(out.table, {**read_json(run.table), "files_root": None})
    if run.tensorboard.is_dir():
        write_shared_events(run.tensorboard, out.tensorboard, without_local_paths)
    if fingerprint and run.fingerprint.is_file():
        without_names(directory, folder)
    write_text(folder / SUMS, _sums(folder))


def files_in(folder: Path) -> Iterator[str]:
    """Yield the paths of all files in a folder, relative to it, in their order."""
    yield from sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def check_sums(folder: Path, where: str) -> None:
    """Check that the files of a pulled run are those that were pushed.

    Raises:
        UserError: if one is missing, foreign or not as it was written.
    """
    file = folder / SUMS
    if not file.is_file() or file.stat().st_size > LARGEST_SUMS:
        raise UserError.of(where, "holds no run of jlrun: there are no checksums of one")
    wanted = dict(_line(line) for line in file.read_text("utf-8", "replace").splitlines())
    found = {name for name in files_in(folder) if name not in (SUMS, README)}
    wrong = sorted(found ^ wanted.keys())
    wrong += sorted(n for n in found & wanted.keys() if _digest(folder / n) != wanted[n])
    if wrong:
        message = f"{wrong[0]} is not as it was pushed, by {SUMS}: pull again, or push it anew"
        raise UserError.of(where, message)


def _check_portable(model: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Check that the model reads no folder of this machine.

    Raises:
        UserError: if it does.
    """
    backbones = config.get("backbone") or {}
    kinds = {str(spec.get("kind")) for spec in model["modalities"].values()}
    named = {f"backbone.{kind}.name": (backbones.get(kind) or {}).get("name") for kind in kinds}
    specs = model["modalities"].items()
    named |= {f"the tokenizer of {name}": spec.get("tokenizer") for name, spec in specs}
    for where, value in named.items():
        if isinstance(value, str) and (without_local_paths(value) != value or Path(value).is_dir()):
            message = f"'{value}' is a folder of this machine, which others lack; push that first, "
            raise UserError.of(where, f"{message}and train with its name on the Hub")


def _shared_result(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **without_local_paths(result),
        "overrides": shared_overrides(list(map(str, result.get("overrides") or []))),
    }


def _shared_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return versions and device; the command is in the overrides."""
    return without_local_paths({k: v for k, v in environment.items() if k != "command"})


def _copy(run: RunDirectory, out: RunDirectory) -> None:
    """Copy the files that have neither rows nor paths."""
    shutil.copytree(run.best, out.best, copy_function=shutil.copyfile)
    vectors = run.path.glob("class_vectors.*")
    for file in (run.model, run.calibration, run.metrics, *vectors):
        if file.is_file():
            shutil.copyfile(file, out.path / file.name)


def _sums(folder: Path) -> str:
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in files_in(folder))


def _line(line: str) -> tuple[str, str]:
    digest, _, name = line.partition("  ")
    return name, digest


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        digest = sha256()
        for chunk in iter(lambda: opened.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
