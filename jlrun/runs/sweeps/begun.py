"""Begun sweeps: what a sweep's folder says about it, and which one a repeated command goes on with.

Two commands are the same sweep if their overrides, what chooses the jobs, and the configs that
these give are the same. How many jobs run at once, and how many trials a search has, may change.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jlrun.config.compose import Composed
from jlrun.config.sweep_section import SweepSettings
from jlrun.errors import UserError
from jlrun.files.atomic import read_json, reading, write_json
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.saved_run import to_yaml

_CHOOSING = ("kind", "seed", "sampler", "objectives")  # settings that decide what the jobs are
_OTHER_SWEEP = "holds another sweep; choose another folder, or go on with that one"


class SweepState(BaseModel):
    """Schema of ``sweep.json``.

    Attributes:
        status: running, until the sweep has come to its end; of a killed one it stays so.
        identity: what the sweep was begun with, see `identity_of`.
        again: whether an earlier launch began the very same sweep.
        study: database and name of the study of a search, pruning.
    """

    schema_: int = 1
    status: str
    identity: dict[str, Any]
    again: bool = False
    study: dict[str, Any] | None = None


def is_own(override: str) -> bool:
    """Return whether an override is about how a sweep runs, not about its jobs."""
    key = override.lstrip("+~").partition("=")[0]
    return key == "sweep" or key.startswith(("sweep.", "sweep/"))


def job_overrides(overrides: Iterable[Any]) -> list[str]:
    """Return the overrides that jobs have."""
    return [str(text) for text in overrides if not is_own(str(text))]


def _of_jobs(overrides: Iterable[str]) -> list[str]:
    return [text for text in job_overrides(overrides) if not text.startswith("hydra")]


def identity_of(
    overrides: Sequence[str], settings: SweepSettings, variants: Sequence[Composed]
) -> dict[str, Any]:
    """Return what makes two sweeps the same.

    Args:
        overrides: of the command.
        settings: of the sweep.
        variants: configs that cover each value of it.
    """
    texts = "\n".join(to_yaml(variant.config) for variant in variants)
    return {
        "overrides": _of_jobs(overrides),
        "chosen_by": {key: settings.model_dump(mode="json")[key] for key in _CHOOSING},
        "configs": hashlib.sha256(texts.encode()).hexdigest()[:16],
    }


def write_state(directory: Path, status: str, identity: Mapping[str, Any], **more: Any) -> None:
    """Write what a sweep's folder says about it, atomically."""
    content = {"schema_": 1, "status": status, "identity": dict(identity), **more}
    write_json(RunDirectory(directory).sweep_state, content)


def read_state(directory: Path) -> SweepState | None:
    """Return what a folder says about its sweep; None if it holds none.

    Raises:
        UserError: if the file is damaged.
    """
    file = RunDirectory(directory).sweep_state
    fix = "choose another folder"
    return SweepState(**read_json(file, SweepState, fix)) if file.is_file() else None


def unfinished(parent: Path, identity: Mapping[str, Any]) -> Path | None:
    """Return the newest folder in ``parent`` with that sweep, if it did not come to its end."""
    files = parent.glob(f"*/{RunDirectory(parent).sweep_state.name}")
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        try:
            state = read_state(file.parent)
        except UserError:  # of a damaged file, which is none that can be gone on with
            continue
        if state is not None and state.identity == identity:
            return None if state.status == "completed" else file.parent
    return None


def check_same_sweep(
    directory: Path, overrides: Sequence[str], identity: Mapping[str, Any]
) -> None:
    """Check that a folder holds no other sweep.

    Raises:
        UserError: if it does.
    """
    file = RunDirectory(directory).sweep_config
    if not file.exists():
        return
    before = _overrides_of(file)
    if _of_jobs(before) != _of_jobs(overrides):
        fix = go_on_command(before, directory)
        raise UserError.of("hydra.sweep.dir", f"'{directory}' {_OTHER_SWEEP}: {fix}")
    state = read_state(directory)
    if state is not None and state.identity["chosen_by"] != identity["chosen_by"]:
        pairs = (f"sweep.{k}={v}" for k, v in state.identity["chosen_by"].items() if v is not None)
        message = f"'{directory}' {_OTHER_SWEEP}, which had {' '.join(pairs)}"
        raise UserError.of("hydra.sweep.dir", message)


def _overrides_of(file: Path) -> list[str]:
    """Return what a sweep was begun with, of its ``multirun.yaml``."""
    with reading(file, "choose another folder"):
        found: Any = parse_yaml(read_bounded(file))
        for key in ("hydra", "overrides", "task"):
            found = found[key]
        if not isinstance(found, list):
            raise TypeError("hydra.overrides.task: a list was expected")
        return [str(text) for text in found]


def go_on_command(overrides: Sequence[str], directory: Path) -> str:
    """Return the command that goes on with a sweep."""
    left_out = ("hydra.sweep.dir=", "sweep.new=")
    others = [text for text in overrides if not text.startswith(left_out)]
    return shlex.join(["jlrun", "--multirun", *others, f"hydra.sweep.dir={directory}"])
