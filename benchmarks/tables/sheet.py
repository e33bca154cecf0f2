"""Sheet of a table: the score of each of its cells for each seed, as JSON.

A score is taken over into the page only if it is of the run that the declaration asks for now: the
hash of the resolved configuration and the digests of the data must be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel

from benchmarks.tables.declared import Cell, Outside, Result, Source, Table
from benchmarks.tables.running import Planned, Runner
from jlrun.files.atomic import read_json, write_json


class Entry(BaseModel):
    """A score, and which run it is of.

    Attributes:
        row, column, seed: its place.
        run: hash of the run's resolved configuration.
        data: stream -> digest of the rows, labels and splits that it learned from.
        choice: which of several the row has; "" if there was one.
        score: as the run states it.
        seconds: of training.
    """

    row: str
    column: str
    seed: int
    run: str
    data: dict[str, str]
    choice: str = ""
    score: float
    seconds: float


class SavedSheet(BaseModel):
    """Schema of ``NAME.json``."""

    command: str
    machine: dict[str, Any]
    tuning: dict[str, dict[str, float]] = {}
    entries: list[Entry] = []

    def scores(self) -> Mapping[str, Mapping[str, Mapping[int, float]]]:
        """Return column -> row -> seed -> score."""
        return by_place(self.entries)


@dataclass
class Sheet:
    """Scores of a table.

    Attributes:
        entries: the scores that were accepted.
        tuning: row (or row and column) -> choice -> its mean score over the runs that decide.
        missing: cells without a score, and why, a line each.
    """

    entries: list[Entry] = field(default_factory=list)
    tuning: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def scores(self) -> Mapping[str, Mapping[str, Mapping[int, float]]]:
        """Return column -> row -> seed -> score."""
        return by_place(self.entries)

    def seconds(self) -> tuple[int, float]:
        """Return the number of runs and the seconds that they trained."""
        by_run = {entry.run: entry.seconds for entry in self.entries}
        return len(by_run), sum(by_run.values())


def by_place(entries: Sequence[Entry]) -> Mapping[str, Mapping[str, Mapping[int, float]]]:
    """Return column -> row -> seed -> score."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for entry in entries:
        found.setdefault(entry.column, {}).setdefault(entry.row, {})[entry.seed] = entry.score
    return found


def run_table(table: Table, seeds: Sequence[int], runner: Runner) -> None:
    """Run what is missing of a table: choices first, then seed by seed."""
    tuned = [
        runner.planned(source, seed)
        for seed in table.tuning_seeds
        for cell in table.cells
        if len(cell.choices) > 1
        for choice in cell.choices
        for source in cell.deciding(choice)
    ]
    runner.run(tuned, table.stacked)
    chosen = {id(cell): _chosen(table, cell, runner) for cell in table.cells}
    runs = [
        runner.planned(cell.choices[choice], seed)
        for seed in seeds
        for cell in table.cells
        if (choice := chosen[id(cell)]) is not None
    ]
    runner.run(runs, table.stacked)


def made_sheet(
    table: Table, seeds: Sequence[int], runner: Runner, before: SavedSheet | None, check_data: bool
) -> Sheet:
    """Return the sheet of a table, of complete runs and of an earlier sheet.

    Args:
        table: its declaration.
        seeds: those reported.
        runner: has the runs.
        before: the earlier sheet; its scores are taken over where their runs are gone.
        check_data: whether the data is loaded to see that it is what the runs learned from.
    """
    sheet = Sheet()
    known = {} if before is None else {(e.row, e.column, e.run): e for e in before.entries}
    for cell in table.cells:
        choice = _chosen(table, cell, runner)
        if len(cell.choices) > 1:
            tuned = _objectives(table, cell, runner)
            name = table.tuned_name(cell)
            earlier = {} if before is None else before.tuning.get(name, {})
            sheet.tuning[name] = tuned or earlier
            if not tuned and earlier:
                choice = max(earlier, key=lambda name: earlier[name])
        for seed in seeds:
            if choice is None:
                sheet.missing.append(f"{cell.row}, {cell.column}, seed {seed}: not tuned")
                continue
            run = runner.planned(cell.choices[choice], seed)
            entry = _entry(cell, choice, run, runner) or known.get((cell.row, cell.column, run.key))
            problem = _problem(entry, run, runner, check_data)
            if entry is None or problem is not None:
                sheet.missing.append(f"{cell.row}, {cell.column}, seed {seed}: {problem}")
            else:
                sheet.entries.append(entry)
    return sheet


def read_sheet(file: Path) -> SavedSheet | None:
    """Return a sheet; None if there is none.

    Raises:
        UserError: if it is damaged.
    """
    return SavedSheet(**read_json(file, SavedSheet, "run it again")) if file.exists() else None


def write_sheet(file: Path, sheet: Sheet, command: str, machine: Mapping[str, Any]) -> None:
    """Write a sheet, complete or not at all."""
    entries = [entry.model_dump() for entry in sheet.entries]
    tuning = asdict(sheet)["tuning"]
    content = {"command": command, "machine": dict(machine), "tuning": tuning, "entries": entries}
    write_json(file, content)


def _entry(cell: Cell, choice: str, run: Planned, runner: Runner) -> Entry | None:
    result = runner.result(run)
    if result is None:
        return None
    return Entry(
        row=cell.row,
        column=cell.column,
        seed=run.seed,
        run=run.key,
        data=dict(runner.digests(run)),
        choice=choice,
        score=cell.score(result),
        seconds=result["cost"]["train_seconds"],
    )


def _problem(entry: Entry | None, run: Planned, runner: Runner, check_data: bool) -> str | None:
    if entry is None:
        failure = runner.failure(run)
        return "not run" if failure is None else f"failed: {failure.strip().splitlines()[-1]}"
    if check_data and not isinstance(run.source, Outside):
        now = runner.digests_now(run)
        if entry.data != dict(now):
            return f"run {run.key} learned from other data; move its folder away"
    return None


def _chosen(table: Table, cell: Cell, runner: Runner) -> str | None:
    """Return the choice with the best mean score; None if some are not known yet."""
    if len(cell.choices) == 1:
        return next(iter(cell.choices))
    found = _objectives(table, cell, runner)
    return max(found, key=lambda name: found[name]) if found else None


def _objectives(table: Table, cell: Cell, runner: Runner) -> dict[str, float]:
    """Return choice -> mean score of the runs that decide; empty if some are missing.

    A choice with a run that diverged is left out.
    """
    found = {}
    judged = cell.judged or _objective
    for name in cell.choices:
        runs = [
            runner.planned(source, seed)
            for seed in table.tuning_seeds
            for source in cell.deciding(name)
        ]
        results = [runner.result(run) for run in runs]
        values = [judged(result) for result in results if result is not None]
        if len(values) == len(runs):
            found[name] = fmean(values)
        elif any(
            r is None and not runner.failure(run) for r, run in zip(results, runs, strict=True)
        ):
            return {}
    return found


def _objective(result: Result) -> float:
    """Return the validation objective of a run, turned so that larger is better."""
    objective = result["objective"]
    return objective["value"] * (1 if objective["direction"] == "maximize" else -1)


def sources(table: Table) -> Iterator[Source]:
    """Yield all runs that a table declares."""
    for cell in table.cells:
        yield from cell.choices.values()
        for runs in cell.tuned_on.values():
            yield from runs
