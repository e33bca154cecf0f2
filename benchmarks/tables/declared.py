"""Declaration of a table: which runs it has, and what is read of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Result = Mapping[str, Any]  # content of ``result.json``
Score = Callable[[Result], float]

QUIET = (
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.tensorboard=false",
    "recorder.progress=none",
    "recorder.rows=false",
    "references=false",
)


@dataclass(frozen=True)
class Job:
    """A run of jlrun.

    Attributes:
        overrides: what a user would type. ``{seed}`` stands for the seed, ``{data}`` for the folder
            of data, and ``{name}`` for the folder of the run ``name`` of ``after``.
        after: runs that must be complete before, with the same seed.
    """

    overrides: tuple[str, ...]
    after: Mapping[str, Job] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.overrides, tuple(self.after.items())))


@dataclass(frozen=True)
class Outside:
    """A model that is not jlrun's, on the same data.

    Attributes:
        function: takes the seed, the folder of data and the options; returns what a run's
            ``result.json`` would hold of it.
        options: of the function; ``version``, to be raised when what it does changes.
    """

    function: Callable[..., Result]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Where the function is."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


Source = Job | Outside


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        row, column: its place.
        choices: name -> run. Of several the one is reported that has the best mean validation
            objective over the table's tuning seeds; all rows should have equally many.
        score: of a run's result.
        tuned_on: choice -> runs that decide in its place, as on other data.
        judged: what is read of runs that decide, larger is better; None: the validation objective.
    """

    row: str
    column: str
    choices: Mapping[str, Source]
    score: Score
    tuned_on: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    judged: Score | None = None

    def deciding(self, choice: str) -> Sequence[Source]:
        """Return the runs that decide about a choice, each with every tuning seed."""
        return self.tuned_on.get(choice, (self.choices[choice],))


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its files; ``title``: of its page.
        about: what was compared, and how, Markdown.
        cells: rows and columns stand in the order in which they first occur.
        conclusion: what it says, in words; written by hand after the figures were seen.
        seeds: those reported; ``tuning_seeds``: others, on which choices are made.
        chosen_by: what the scores of choices are, as the page puts it.
        reference: the row that all others are compared with, paired by seed; None: none.
        data: files that it needs below the folder of data.
        stacked: whether runs that differ in little train as one (`sweep=vectorized`).
        unit: of the scores; ``factor`` and ``digits``: how they are printed.
        figure: draws column -> row -> seed -> score, to ``NAME.png``.
    """

    name: str
    title: str
    about: str
    cells: tuple[Cell, ...]
    conclusion: str = ""
    seeds: tuple[int, ...] = (0, 1, 2)
    tuning_seeds: tuple[int, ...] = ()
    chosen_by: str = "Mean validation objective"
    reference: str | None = None
    data: tuple[str, ...] = ()
    stacked: bool = False
    unit: str = "test accuracy %"
    factor: float = 100.0
    digits: int = 1
    figure: Callable[[Mapping[str, Mapping[str, Mapping[int, float]]]], Figure] | None = None

    @property
    def rows(self) -> list[str]:
        """Names of rows."""
        return list(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def columns(self) -> list[str]:
        """Names of columns."""
        return list(dict.fromkeys(cell.column for cell in self.cells))

    def tuned_name(self, cell: Cell) -> str:
        """Return what the choices of a cell are listed under: its row, where it has only those."""
        own = [each for each in self.cells if each.row == cell.row]
        alike = all((each.choices, each.tuned_on) == (cell.choices, cell.tuned_on) for each in own)
        return cell.row if alike else f"{cell.row}, {cell.column}"


@dataclass(frozen=True)
class Overview:
    """A figure of several tables, drawn again with each of them.

    Attributes:
        name: of its file.
        tables: their names.
        figure: draws table -> column -> row -> seed -> score of those that there are.
    """

    name: str
    tables: tuple[str, ...]
    figure: Callable[[Mapping[str, Mapping[str, Mapping[str, Mapping[int, float]]]]], Figure]


def only(source: Source) -> Mapping[str, Source]:
    """Return choices of which there is one."""
    return {"": source}


def of_model(task: str, metric: str = "accuracy") -> Score:
    """Return the test score of the model of a run."""
    return lambda result: result["test"][task][metric]


def baseline(name: str, task: str, metric: str = "accuracy") -> Score:
    """Return the test score of a baseline of a run."""
    return lambda result: result["baselines"][name][task][metric]


def mean_of(scores: Sequence[Score]) -> Score:
    """Return the mean of scores."""
    return lambda result: sum(score(result) for score in scores) / len(scores)


def data_missing(table: Table, data: Path) -> list[str]:
    """Return the files that a table needs and that are not there."""
    return [name for name in table.data if not (data / name).exists()]
