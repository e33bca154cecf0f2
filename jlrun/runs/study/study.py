"""A study: plan its cells, run them within the budget, and answer what they show."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jlrun.data.reading.decoded import kept_in
from jlrun.errors import Interrupted, UserError
from jlrun.files.atomic import read_json, reading, write_json
from jlrun.files.lock import held
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.formats import format_score
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.recorders.result_table import primary_metric, score_of
from jlrun.reporting.result import read_result
from jlrun.runs.study.answers import Answers, answers_of
from jlrun.runs.study.arms import Arm, Subject, arms_of
from jlrun.runs.study.budget import Spent
from jlrun.runs.study.cells import Cell, Done, cells_of, estimated, run_cell
from jlrun.runs.study.page import write_page
from jlrun.runs.study.plan import plan_lines, refusal_lines, size_line
from jlrun.runs.study.sentences import sentences
from jlrun.runs.study.settings import StudySettings, divided
from jlrun.runs.study.subject import read_subject
from jlrun.tasks import Task
from jlrun.training.interruption import interruptible

RUNS = "runs"
PARENT = Path("outputs/study")
_ANEW = "delete it: the command that began the study, with study.dir=, makes it of the runs again"
Say = Callable[[str], None]


@dataclass
class Study:
    """A study in its folder.

    Attributes:
        directory: of the study.
        settings: of the study.
        overrides: what the user typed, without ``study.dir`` and ``study.dry``.
        subject: the data set.
        tasks: name -> task.
        refused: arm -> why it can't be run on this data.
        done: cell -> what became of it.
    """

    directory: Path
    settings: StudySettings
    overrides: tuple[str, ...]
    subject: Subject
    tasks: Mapping[str, Task]
    arms: Sequence[Arm] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cell]:
        """All cells of the plan, in their order."""
        return cells_of(self.arms, self.settings.seeds)

    @property
    def spent(self) -> Spent:
        """What the cells took so far."""
        return sum((done.spent for done in self.done.values()), Spent())

    @property
    def finished(self) -> list[tuple[Cell, Done]]:
        """The cells that are done, failed ones included."""
        return [(cell, self.done[cell.name]) for cell in self.cells if cell.name in self.done]

    @property
    def missing(self) -> list[str]:
        """Names of the cells that the budget did not reach."""
        return [cell.name for cell in self.cells if cell.name not in self.done]

    def save(self, answers: Answers | None = None) -> None:
        """Write the journal, and with it the answers."""
        found = {}
        if answers is not None:
            found = {"sentences": sentences(answers), **answers.to_json()}
        content = {
            "schema": 1,
            "finished": answers is not None,
            "overrides": list(self.overrides),
            "settings": self.settings.model_dump(),
            "tasks": list(self.subject.tasks),
            "modalities": list(self.subject.modalities),
            "cells": {name: done.to_json() for name, done in self.done.items()},
            "not_reached": self.missing,
            "refused": dict(self.refused),
            **found,
        }
        write_json(RunDirectory(self.directory).study, content)


def run_study(
    texts: Sequence[str], say: Say, opened: Callable[[Path], object] = lambda directory: None
) -> Answers | None:
    """Run a study, or go on with an unfinished one that began alike.

    Args:
        texts: what the user typed.
        say: shows a line.
        opened: called with the folder of the study before the first run.

    Returns:
        The answers; None for a plan alone.

    Raises:
        UserError: if the data or an override is wrong; nothing is trained then.
        Interrupted: if the user stops it, with the command that goes on.
    """
    texts = _continued(texts)
    settings, overrides = divided(texts)
    begun = tuple(text for text in texts if not text.startswith(("study.dir=", "study.dry=")))
    subject, tasks = read_subject(overrides)
    arms, refused = _runnable(arms_of(subject, settings))
    if settings.dry:
        lines = plan_lines(cells_of(arms, settings.seeds), subject, settings.limit)
        for line in (*lines, *refusal_lines(refused)):
            say(line)
        return None
    directory, again = _directory(begun, settings)
    with held(directory, "study.dir"):
        opened(directory)
        done = _done(directory) if again else {}
        study = Study(directory, settings, begun, subject, tasks, arms, refused, done)
        say(_header(study))
        for line in refusal_lines(refused):
            say(line)
        study.save()
        try:
            with interruptible():
                with kept_in(RunDirectory(directory).decoded):
                    _conduct(study, say)
                answers = answers_of(study)
                study.save(answers)
                write_page(study, answers)
        except (Interrupted, KeyboardInterrupt) as error:
            raise Interrupted(f"interrupted; to go on: {_command(study)}") from error
        return answers


def _directory(begun: Sequence[str], settings: StudySettings) -> tuple[Path, bool]:
    """Return the folder of the study, and whether there is something to go on with."""
    if settings.dir is not None:
        chosen = Path(settings.dir).expanduser().absolute()
        before = _overrides_in(chosen)
        if before is not None and _alike(before[0]) != _alike(begun):
            raise UserError.of("study.dir", _other_study(chosen, before[0], begun))
        return chosen, before is not None
    for file in sorted(PARENT.glob(f"*/{RunDirectory(Path()).study.name}"), reverse=True):
        try:
            before = _overrides_in(file.parent)
        except UserError:  # of a damaged file, which is none that can be gone on with
            continue
        if before is not None and not before[1] and _alike(before[0]) == _alike(begun):
            return file.parent.absolute(), True
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(3)}"
    return (PARENT / name).absolute(), False


def _continued(texts: Sequence[str]) -> Sequence[str]:
    """Return what was typed; with what the study in ``study.dir`` began with, if nothing of it
    is."""
    settings, _ = divided(texts)
    before = None if settings.dir is None else _overrides_in(Path(settings.dir).expanduser())
    anew = ("study.dir=", "study.dry=", "study.budget=")
    if before is None or any(not text.startswith(anew) for text in texts):
        return texts
    budget = any(text.startswith("study.budget=") for text in texts)
    kept = [text for text in before[0] if not (budget and text.startswith("study.budget="))]
    return [*kept, *texts]


def _other_study(directory: Path, before: Sequence[str], given: Sequence[str]) -> str:
    """Return what to do about overrides that are not those of the study in a folder."""
    old, new = _alike(before), _alike(given)
    lacking = [text for text in old if text not in new]
    more = [text for text in new if text not in old]
    parts = [f"{shlex.join(lacking)} is missing"] if lacking else []
    parts += [f"{shlex.join(more)} was not given then"] if more else []
    where = shlex.quote(f"study.dir={directory}")
    fix = f"choose another folder, or go on with `jlrun study {where}`"
    return f"'{directory}' holds another study ({', '.join(parts) or 'in other numbers'}); {fix}"


def _alike(texts: Sequence[str]) -> list[str]:
    """Return what two studies must have in common for one to go on with the other: not the budget,
    which may be raised."""
    return sorted(text for text in texts if not text.startswith("study.budget="))


def _overrides_in(directory: Path) -> tuple[list[str], bool] | None:
    """Return what a study began with and whether it is finished; None if there is none."""
    file = RunDirectory(directory).study
    if not file.is_file():
        return None
    with reading(file, _ANEW):
        content = read_json(file, fix=_ANEW)
        return [str(text) for text in content["overrides"]], bool(content["finished"])


def _done(directory: Path) -> dict[str, Done]:
    with reading(RunDirectory(directory).study, _ANEW):
        cells: dict[str, Any] = read_json(RunDirectory(directory).study, fix=_ANEW)["cells"]
        done = {name: Done.from_json(entry) for name, entry in cells.items()}
    return {
        name: each
        for name, each in done.items()
        if each.status == "completed" and _is_there(directory / RUNS / name)
    }


def _is_there(directory: Path) -> bool:
    """Return whether a run that was done is still there; it is trained again otherwise."""
    return RunDirectory(directory).result.is_file()


def _runnable(arms: Sequence[Arm]) -> tuple[list[Arm], dict[str, str]]:
    """Return the arms whose configuration is valid for this data, and why others are not."""
    from jlrun.config.check import checked

    kept, refused = list[Arm](), dict[str, str]()
    for arm in arms:
        try:
            if arm.source is None:  # others are checked when their source is there
                checked(arm.overrides)
        except UserError as error:
            if arm.question == "alone":
                raise
            refused[arm.name] = " ".join(str(error).split())
        else:
            kept.append(arm)
    names = {arm.name for arm in kept}
    return [arm for arm in kept if arm.source is None or arm.source in names], refused


def _conduct(study: Study, say: Say) -> None:
    """Run the cells that are missing, as far as the budget reaches."""
    runs = study.directory / RUNS
    for number, cell in enumerate(study.cells, 1):
        if cell.name in study.done:
            continue
        known = {c.name: (c, d) for c, d in study.finished}
        within = study.settings.limit.reaches(study.spent, estimated(cell, known))
        if not within:
            return
        done = run_cell(cell, runs)
        study.done[cell.name] = done
        study.save()
        say(_line(study, cell, done, number))


def _command(study: Study) -> str:
    return shlex.join(["jlrun", "study", *study.overrides, f"study.dir={study.directory}"])


def _header(study: Study) -> str:
    tasks, modalities = ", ".join(study.subject.tasks), ", ".join(study.subject.modalities)
    begun = f", {len(study.done)} of them done before" if study.done else ""
    return (
        f"jlrun study of {tasks} from {modalities}\n"
        f"  {size_line(study.cells, study.subject)}{begun}; budget {study.settings.budget}\n"
        f"  {short_path(study.directory)}"
    )


def _line(study: Study, cell: Cell, done: Done, number: int) -> str:
    """Return what a finished cell took and scored."""
    spent, total = study.spent.of(study.settings.limit.unit), study.settings.limit
    so_far = f"{spent:,.0f} of {total}"
    what = done.error if done.error is not None else _scores(study.directory / RUNS / cell.name)
    head = f"[{number:>3}/{len(study.cells)}] {cell.name}"
    return f"{head:<44} {done.spent.seconds:6.1f} s  {what}  ({so_far})"


def _scores(directory: Path) -> str:
    result = read_result(directory) or {}
    found = ((task, primary_metric(result, task)) for task in result.get("test") or {})
    return ", ".join(
        f"{task} {metric} {format_score(score_of(result['test'], task, metric))}"
        for task, metric in found
    )
