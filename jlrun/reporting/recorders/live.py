"""Progress on a terminal: a live bar under a few lasting lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from jlrun.files.names import printable
from jlrun.reporting.recorders.closing_lines import closing_lines
from jlrun.reporting.recorders.epoch_lines import EpochLines, phase_title, summary_cells
from jlrun.reporting.recorders.formats import MISSING, format_count, format_seconds
from jlrun.reporting.recorders.header_lines import header_lines
from jlrun.reporting.recorders.remaining import Remaining
from jlrun.reporting.recorders.result_table import ResultTable, result_table
from jlrun.reporting.recorders.verdict import verdict
from jlrun.training.recorder import Header, PhaseInfo, Position, Recorder

LOSS_TAG = "train/total_loss"
SPEED_TAG = "train/samples_per_second"


class LiveRecorder(Recorder):
    """Show a bar with epoch, speed, loss, last validation scores and time left.

    What lasts above it is what `PlainRecorder` prints.

    Args:
        console: of a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._run_dir = Path()
        self._lines: EpochLines | None = None
        self._bar: _Bar | None = None
        self._remaining = Remaining()

    def start(self, header: Header) -> None:
        self._run_dir = header.run_dir
        self._remaining = Remaining(header.fits)
        title, *facts = header_lines(header)
        self._print(title, style="bold")
        self._print("\n".join([*facts, ""]))

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._stop()
        self._lines = EpochLines(phase)
        self._remaining.begin_phase(phase)
        self._bar = _Bar(self._console, phase)

    def step(self, step: int) -> None:
        if self._bar:
            self._bar.step(step)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        if self._bar:
            self._bar.measured(values)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        assert self._lines, "a phase begins before its epochs end"
        line = self._lines.after(at, summary, best)
        self._remaining.epoch(at.step)
        for each in filter(None, (line, self._remaining.line())):
            self._print(each)
        if self._bar:
            self._bar.scored(summary, self._remaining)

    def end_phase(self) -> None:
        self._stop()
        for line in self._lines.last() if self._lines else ():
            self._print(line)
        self._lines = None
        self._remaining.end_phase()

    def message(self, line: str) -> None:
        self._print(line)

    def finish(self, result: Mapping[str, Any]) -> None:
        self._stop()
        if result["status"] != "completed":
            return
        self._print("")
        table = result_table(result, self._console.width)
        if table.rows:  # none where no task was learned
            self._console.print(_rich_table(table))
        sentences = verdict(result)
        if sentences:
            self._print("\n".join(["", *sentences]), style="bold")
        self._print("\n".join(["", *closing_lines(result, self._run_dir)]))

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str, style: str = "") -> None:
        """Print as it is: no markup, no colouring of numbers, long lines left to the terminal."""
        self._console.print(Text(printable(text), style=style), soft_wrap=True, highlight=False)


class _Bar:
    """The live line of a phase, gone when it stops."""

    def __init__(self, console: Console, phase: PhaseInfo) -> None:
        self._phase = phase
        self._scores = ""
        self._loss = ""
        self._speed = ""
        self._pace = ""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            TextColumn(
                "{task.fields[status]}",
                markup=False,
                table_column=Column(
                    no_wrap=True, overflow="ellipsis", ratio=1
                ),  # takes what is left
            ),
            console=console,
            expand=True,
            transient=True,
        )
        self._task = self._progress.add_task(
            phase_title(phase.fit, phase.phase),
            total=phase.num_steps,
            completed=phase.start_step - phase.first_step,
            status="",
        )
        self._progress.start()

    def step(self, step: int) -> None:
        done = step - self._phase.first_step
        self._progress.update(self._task, completed=done, status=self._status(done))

    def measured(self, values: Mapping[str, float]) -> None:
        if LOSS_TAG in values:
            (self._loss,) = summary_cells({LOSS_TAG: values[LOSS_TAG]})
        if SPEED_TAG in values:
            self._speed = f"{format_count(values[SPEED_TAG])} samples/s"

    def scored(self, summary: Mapping[str, float], remaining: Remaining) -> None:
        every = f"{format_seconds(remaining.epoch_seconds)}/epoch"
        self._pace = f"{every}, all fits {format_seconds(remaining.of_all)}"
        val = {tag: value for tag, value in summary.items() if tag.startswith("val/")}
        self._scores = "  ".join(summary_cells(val))

    def stop(self) -> None:
        self._progress.stop()

    def _status(self, done: int) -> str:
        epoch = min(-(-done // self._phase.steps_per_epoch), self._phase.num_epochs)
        cells = [f"epoch {epoch}/{self._phase.num_epochs}", self._pace, self._loss]
        cells += [self._speed, self._scores]
        return "  ".join(filter(None, cells))


def _rich_table(table: ResultTable) -> Table:
    rich_table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for i, name in enumerate(table.header):
        rich_table.add_column(Text(printable(name)), justify="right" if i else "left")
    for row in table.rows:
        rich_table.add_row(*(Text(printable(cell), style=_style(cell)) for cell in row))
    return rich_table


def _style(cell: str) -> str:
    """Colour gains; scores carry no sign."""
    if cell.startswith("+"):
        return "green"
    return "red" if cell.startswith("-") and cell != MISSING else ""
