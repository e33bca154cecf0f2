"""A soup as a run directory, which other verbs take like any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import write_json
from jlrun.files.places import check_folder
from jlrun.files.run_directory import RunDirectory
from jlrun.models import checkpoints
from jlrun.models.class_vectors.snapshot import NAME as CLASS_VECTORS
from jlrun.reporting.result import Result
from jlrun.runs.description import describe_environment
from jlrun.runs.soups.greedy_soup import RunSoup
from jlrun.runs.soups.members import Member


def check_output(directory: Path) -> None:
    """Check that a soup can be written to ``directory``.

    Raises:
        UserError: if something stands there.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError.of("--output", f"'{directory}' is not empty; choose a new folder")
    check_folder(directory, "--output")


def write_soup(soup: RunSoup, members: Sequence[Member], directory: Path) -> Result:
    """Write a complete run directory with the config of the best member; it appears as a whole.

    Args:
        soup: its weights and scores.
        members: all runs that it was made from, in the order given.
        directory: that `check_output` lets pass.
    """
    directory = directory.resolve()
    best = members[soup.chosen[0]]
    partial = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        result = _write(soup, members, best, partial, directory)
        os.replace(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return result


def _write(
    soup: RunSoup, members: Sequence[Member], best: Member, partial: Path, directory: Path
) -> Result:
    """Write to ``partial`` what will lie in ``directory``."""
    of_best, run = RunDirectory(best.directory), RunDirectory(partial)
    copied = (of_best.config, of_best.overrides, of_best.model, of_best.fingerprint)
    for file in (*copied, *best.directory.glob(f"{CLASS_VECTORS}.*")):
        if file.exists():
            shutil.copyfile(file, partial / file.name)
    write_json(run.environment, describe_environment())
    summary = _summary(soup, members, directory)
    state = {"selected": None, "last": {}, "oracle": {}, "soup": summary}
    checkpoints.save_tensors(run.best, best.unfolded(soup.weights), state)
    result = _result(soup, members, partial, summary)
    result.save()
    return result


def _summary(soup: RunSoup, members: Sequence[Member], directory: Path) -> dict[str, Any]:
    names = [os.path.relpath(member.directory.resolve(), directory) for member in members]
    return {
        "members": [names[i] for i in soup.chosen],
        "val_scores": dict(zip(names, soup.scores, strict=True)),
        "uniform_val_score": soup.uniform,
        "val_score": soup.score,
    }


def _result(
    soup: RunSoup, members: Sequence[Member], directory: Path, summary: dict[str, Any]
) -> Result:
    best = members[soup.chosen[0]]
    costs = [member.result.get("cost") or {} for member in members]
    return Result(
        directory=directory,
        status="completed",
        mode=best.settings.strategy.mode,
        seed=best.settings.seed,
        overrides=tuple(best.result["overrides"]),
        test=soup.test,
        val=soup.val,
        objective={"name": soup.criterion, "value": soup.score, "direction": "maximize"},
        primary=soup.primary,
        model=best.result.get("model"),
        # of all runs: a soup has to be chosen from something
        cost={"train_seconds": sum(cost.get("train_seconds") or 0.0 for cost in costs)},
        extra={**soup.also, "soup": summary},
    )
