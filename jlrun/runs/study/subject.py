"""The data set of a study, as its configuration and its files show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.config.build import build
from jlrun.config.check import checked
from jlrun.config.nodes import SEVERAL, SOURCES
from jlrun.config.slots import TASK
from jlrun.engine import session
from jlrun.errors import UserError
from jlrun.runs.datasets import load_data
from jlrun.runs.settings import RunSettings
from jlrun.runs.study.arms import Subject
from jlrun.tasks import Task

_DECIDED = {"mode", "tasks", "modalities", "seed", "baselines", "epochs", "strategy", "weighting"}
_DECIDED |= {SEVERAL, SOURCES, "source", "target", "hydra", "terms"}


def read_subject(overrides: Sequence[str]) -> tuple[Subject, dict[str, Task]]:
    """Return the data set that overrides describe, and its tasks.

    Args:
        overrides: of the user; ``tasks``, ``modalities`` and ``epochs`` choose what is studied.

    Raises:
        UserError: with all that is wrong with them.
    """
    _check_kept(overrides)
    config = _checked(overrides)
    kept = tuple(text for text in overrides if _root(text) not in _DECIDED)
    settings = RunSettings.parse(config)
    with session(threads=settings.engine.threads, deterministic=False):
        data = load_data(settings.data, {})
    node: Mapping[str, Any] = config["dataset"]
    chosen = settings.data.tasks or tuple(node["tasks"])
    names = [name for name in node["tasks"] if name in chosen]
    patience = config["patience"]
    subject = Subject(
        tasks=tuple(names),
        modalities=tuple(data.modalities),
        overrides=kept,
        epochs=int(config["epochs"]),
        batch_size=int(config["batch_size"]),
        patience="null" if patience is None else str(patience),
        train_rows=len(data.splits["dataset"].train),
    )
    return subject, {name: build(node["tasks"][name], TASK) for name in names}


def _check_kept(overrides: Sequence[str]) -> None:
    """Check that there is a data set, and no override about what a study varies itself.

    Raises:
        UserError: if not.
    """
    if not any(_root(text) in {"dataset", "experiment"} for text in overrides):
        raise UserError.of("dataset", "name what to study, as in dataset=digits or dataset=table")
    for text in overrides:
        if _root(text) in _DECIDED - {"tasks", "modalities", "epochs"}:
            message = f"'{text}': a study chooses this for each of its runs; leave it out"
            raise UserError.of(text.partition("=")[0], message)
        if text.lstrip("+").startswith("dataset.fold"):
            message = "a study has its own seeds, each with its own splits; leave the folds out"
            raise UserError.of(text.partition("=")[0], message)


def _checked(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the config of all tasks and modalities, which has a fusion if there are several."""
    base = ["mode=multitask", *overrides]
    if any(_root(text) == "fusion" for text in overrides):
        return checked(base).config
    try:
        return checked([*base, "fusion=concat"]).config
    except UserError as error:
        theirs = [problem for problem in error.problems if problem.where != "fusion"]
        if theirs:  # the fusion is none that the user chose
            raise UserError(theirs) from None
        return checked(base).config


def _root(text: str) -> str:
    return text.partition("=")[0].lstrip("+~").partition(".")[0].partition("@")[0]
