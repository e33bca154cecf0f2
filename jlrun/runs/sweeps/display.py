"""Display of a running sweep: a live table on a terminal, a line for each end elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from jlrun.reporting.recorders.formats import format_score
from jlrun.runs.sweeps.ended import COMPLETED, FAILED, Ended, SweepJob, Watcher
from jlrun.wording import shorten

MOST_ROWS = 12  # of jobs that have ended
_GAP, _NARROWEST = 2, 12  # characters between columns, and of what tells jobs apart
_STYLES = {COMPLETED: "green", FAILED: "red", "running": "cyan"}


class SweepDisplay(Watcher):
    """Display of how far a sweep is.

    Args:
        total: number of its jobs.
        at_once: how many run at once.
        live: whether a table can be drawn; None: on a terminal that can move its cursor.
    """

    def __init__(
        self, total: int, at_once: int, stream: TextIO | None = None, live: bool | None = None
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._total, self._at_once = total, at_once
        self._running: dict[int, SweepJob] = {}
        self._ends: list[Ended] = []
        if live is None:
            # One job at a time shows its own progress there.
            live = at_once > 1 and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._live = self._table_on(self._stream) if live else None

    def started(self, job: SweepJob) -> None:
        self._running[job.number] = job
        self._draw()

    def ended(self, end: Ended) -> None:
        self._running.pop(end.job.number, None)
        self._ends.append(end)
        if self._live is None:
            print(self.line(end), file=self._stream, flush=True)
        self._draw()

    def repeated(self, job: SweepJob, earlier: int) -> None:
        """A job does not begin, since an earlier one had the same overrides."""
        self.ended(Ended(job, Path(), f"is as job {earlier}", 0.0))

    def close(self) -> None:
        """Leave the terminal to others."""
        if self._live is not None:
            self._live.stop()

    def line(self, end: Ended) -> str:
        """Return the line for an end."""
        named = f": {end.job.named}" if end.job.named else ""
        score = f", {_score(end)}" if _score(end) else ""
        took = f" in {_time(end.seconds)}" if end.seconds else ""  # of a repeated one none
        state = f"{end.status}{score}{took}"
        return f"job {end.job.number}{named} {state} ({self._progress()})"

    def _progress(self) -> str:
        done = len(self._ends)
        left = self._total - done
        if left <= 0:
            return f"{done} of {max(done, self._total)}"
        seconds = sum(end.seconds for end in self._ends) / done * left / self._at_once
        return f"{done} of {self._total}, about {_time(seconds)} left"

    def _table_on(self, stream: TextIO) -> Any:
        from rich.console import Console
        from rich.live import Live

        live = Live(
            console=Console(file=stream),
            get_renderable=self._table,
            refresh_per_second=2,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def _draw(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        named = {str(end.objective["name"]) for end in self._ends if end.objective is not None}
        score = named.pop() if len(named) == 1 else "score"
        now = time.monotonic()
        rows = [
            (str(end.job.number), end.job.named, end.status, _score(end, score), _time(end.seconds))
            for end in self._ends[-MOST_ROWS:]
        ]
        rows += [
            (str(job.number), job.named, "running", "", _time(now - job.begun))
            for job in list(self._running.values())
        ]
        table = Table(box=None, padding=(0, _GAP, 0, 0), caption_justify="left")
        titles = ("job", "", "state", score, "time")
        widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles))]
        # What tells jobs apart is what may be cut.
        others = sum(width + _GAP for width in widths) - widths[1]
        room = max(_NARROWEST, shutil.get_terminal_size().columns - others)
        for title, width in zip(titles, widths, strict=True):
            table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=min(width, room))
        for number, name, state, *rest in rows:
            style = _STYLES.get(state, "yellow")
            table.add_row(number, Text(shorten(name, room)), Text(state, style=style), *rest)
        if self._ends:
            table.caption = Text(self._progress())
        return table


def _score(end: Ended, title: str = "") -> str:
    """Return the score of a job, with its name where that is not the title."""
    if end.objective is None:
        return ""
    value, name = format_score(end.objective["value"]), str(end.objective["name"])
    return value if name == title else f"{name} {value}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
