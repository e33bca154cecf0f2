"""Progress as plain lines: for pipes, files and notebooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from jlrun.files.names import printable
from jlrun.reporting.recorders.closing_lines import closing_lines
from jlrun.reporting.recorders.epoch_lines import EpochLines
from jlrun.reporting.recorders.header_lines import header_lines
from jlrun.reporting.recorders.remaining import Remaining
from jlrun.reporting.recorders.result_table import result_table
from jlrun.reporting.recorders.verdict import verdict
from jlrun.training.recorder import Header, PhaseInfo, Position, Recorder


class PlainRecorder(Recorder):
    """Print the start block, about ten lines per phase, messages, and the table of results.

    Args:
        stream: where to print; characters that its encoding lacks are replaced.
        every_epoch: print a line for each epoch instead.
    """

    def __init__(self, stream: TextIO, every_epoch: bool = False) -> None:
        self.stream = stream
        self.every_epoch = every_epoch
        self._run_dir = Path()
        self._lines: EpochLines | None = None
        self._remaining = Remaining()

    def start(self, header: Header) -> None:
        self._run_dir = header.run_dir
        self._remaining = Remaining(header.fits)
        self._print([*header_lines(header), ""])

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._lines = EpochLines(phase, self.every_epoch)
        self._remaining.begin_phase(phase)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        assert self._lines, "a phase begins before its epochs end"
        line = self._lines.after(at, summary, best)
        self._remaining.epoch(at.step)
        if lines := [*filter(None, (line, self._remaining.line()))]:
            self._print(lines)

    def end_phase(self) -> None:
        if self._lines and (lines := self._lines.last()):
            self._print(lines)
        self._lines = None
        self._remaining.end_phase()

    def message(self, line: str) -> None:
        self._print([line])

    def finish(self, result: Mapping[str, Any]) -> None:
        if result["status"] == "completed":
            self._print(finish_lines(result, self._run_dir))

    def _print(self, lines: list[str]) -> None:
        encoding = self.stream.encoding or "utf-8"
        text = "".join(f"{printable(line)}\n" for line in lines)
        self.stream.write(text.encode(encoding, "replace").decode(encoding))
        self.stream.flush()


class MessageRecorder(Recorder):
    """Print messages alone.

    Args:
        stream: as in `PlainRecorder`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._plain = PlainRecorder(stream)

    def message(self, line: str) -> None:
        self._plain.message(line)


def finish_lines(result: Mapping[str, Any], run_dir: Path) -> list[str]:
    """Return the end of a completed run: table, verdict, and where things lie."""
    sentences = verdict(result)
    table = result_table(result)
    return [
        "",
        *([*table.lines(), ""] if table.rows else []),
        *sentences,
        *([""] if sentences else []),
        *closing_lines(result, run_dir),
    ]


class LogRecorder(Recorder):
    """Write to a text file what the terminal shows, and how a run failed.

    Args:
        path: the file; appended to, so that the log of a resumed run is whole.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._plain = PlainRecorder(self._file, every_epoch=True)

    def start(self, header: Header) -> None:
        self._plain.start(header)

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._plain.begin_phase(phase)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        self._plain.epoch(at, summary, best)

    def end_phase(self) -> None:
        self._plain.end_phase()

    def message(self, line: str) -> None:
        self._plain.message(line)

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def finish(self, result: Mapping[str, Any]) -> None:
        self._plain.finish(result)
        if result["status"] != "completed":
            self._plain.message(": ".join(filter(None, [result["status"], result.get("error")])))

    def close(self) -> None:
        self._file.close()
