"""``log.txt``: all that a run told, in plain lines, every epoch included."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.reporting.recorders.plain import PlainRecorder
from jlrun.training.recorder import Header, PhaseInfo, Position, Recorder


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
