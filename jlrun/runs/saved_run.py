"""Saved run: the configuration in a run directory, and the links that it must not have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from jlrun.config import check_values
from jlrun.config.folds import folded
from jlrun.errors import Problem, UserError
from jlrun.files.atomic import RESTORE, reading
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.given_tables import read_from_own_folder
from jlrun.runs.settings import RunSettings


def load_run(directory: Path) -> tuple[RunSettings, tuple[str, ...]]:
    """Return the settings and overrides of the run in ``directory``, checked like any others.

    Raises:
        UserError: if it holds no run, or its config is not valid (any more).
    """

    config, overrides = load_config(directory)
    problems = check_values(config)
    if problems:
        file = RunDirectory(directory).config
        raise UserError([Problem(f"{file}: {p.where}", p.message) for p in problems])
    return RunSettings.parse(config), overrides


def load_changed(directory: Path, overrides: Sequence[str]) -> RunSettings:
    """Return the settings of the run in ``directory`` with the values of ``key=value`` overrides.

    Where they name a file of test or validation rows that were divided off the training rows, the
    run's division of these stays.

    Raises:
        UserError: if it holds no run, or an override is wrong, or the config is not valid with it.
    """
    before = load_config(directory)[0]
    config = changed(before, overrides)
    if problems := check_values(config):
        raise UserError(problems)
    settings = RunSettings.parse(config)
    set_aside = {
        name: _newly_given(before, name, node) for name, node in settings.data.nodes.items()
    }
    return replace(settings, data=replace(settings.data, set_aside=set_aside))


def _newly_given(before: dict[str, Any], name: str, node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the splits for which a data set has files now and had none before."""
    had: Any = before
    for key in name.split("."):
        had = (had or {}).get(key)
    own = had or {}
    return tuple(s for s in ("val", "test") if node.get(f"{s}_path") and not own.get(f"{s}_path"))


def changed(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``config`` with the values of ``key=value`` overrides.

    Raises:
        UserError: for an override without ``=``, or of a key that the config lacks.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    node, problems = OmegaConf.create(config), []
    OmegaConf.set_struct(node, True)
    for override in overrides:
        key, sign, text = override.partition("=")
        try:
            if not sign:
                raise ValueError("expected KEY=VALUE")
            OmegaConf.update(node, key, yaml.safe_load(text), force_add=False)
        except (OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
            reason = "there is no such key" if sign else str(error)
            problems.append(Problem(key, reason))
    if problems:
        raise UserError(problems)
    plain = OmegaConf.to_container(node)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def load_config(directory: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the saved config and overrides of the run in ``directory``, not checked.

    Raises:
        UserError: if it holds no run, or those of a cross-validation.
    """
    config, overrides = load_any_config(directory)
    if folded(config) is not None:
        first = RunDirectory(directory).fold(0)
        message = f"this is a cross-validation: name one of its runs, such as {first}"
        raise UserError.of(str(directory), message)
    return config, overrides


def load_any_config(directory: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the saved config and overrides of a run or a cross-validation, not checked.

    Raises:
        UserError: if it holds neither.
    """
    run = RunDirectory(directory)
    if run.sweep_config.is_file():
        message = f"this is a sweep: name one of its runs, such as {directory / '0'}"
        raise UserError.of(str(directory), message)
    if not run.config.exists():
        raise UserError.of(str(directory), "there is no run here: config.yaml is missing")
    config, overrides = _read_yaml(run.config), _read_yaml(run.overrides)
    if not isinstance(config, dict):
        raise UserError.of(str(run.config), f"is not the config of a run; {RESTORE}")
    if not isinstance(overrides, list) or not all(isinstance(text, str) for text in overrides):
        fix = "restore it from a copy, or write [] into it"
        raise UserError.of(str(run.overrides), f"is no list of overrides; {fix}")
    read_from_own_folder(config, directory)
    return config, tuple(overrides)


def _read_yaml(file: Path) -> Any:
    with reading(file):
        return parse_yaml(read_bounded(file))


def to_yaml(content: Any) -> str:
    """Return plain values as YAML, in their order."""

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def check_links(directory: Path) -> None:
    """Check that no file or folder of a run is a link to outside of it.

    The folder itself may be one, and so may what is above it. One that is absent has none.

    Raises:
        UserError: with all such links.
    """
    home = directory.resolve()
    problems = []
    for folder, folders, files in os.walk(directory, followlinks=False):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                message = f"is a link to '{os.readlink(path)}', outside of the run: put what it "
                problems.append(Problem(str(path), f"{message}leads to in its place"))
    if problems:
        raise UserError(problems)
