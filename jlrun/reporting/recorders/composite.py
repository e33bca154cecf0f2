"""Several recorders as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jlrun.training.recorder import NOTHING, ByFit, Header, PhaseInfo, Position, Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Recorders(Recorder):
    """Pass everything on to each of ``parts``, in this order."""

    def __init__(self, parts: Sequence[Recorder]) -> None:
        self.parts = tuple(parts)

    def recorded(self, fit: str) -> dict[str, Any]:
        return {name: found for part in self.parts for name, found in part.recorded(fit).items()}

    def rewind(
        self,
        keep: Mapping[str, int | None],
        recorded: ByFit = NOTHING,
    ) -> None:
        for part in self.parts:
            part.rewind(keep, recorded)

    def start(self, header: Header) -> None:
        for part in self.parts:
            part.start(header)

    def begin_phase(self, phase: PhaseInfo) -> None:
        for part in self.parts:
            part.begin_phase(phase)

    def step(self, step: int) -> None:
        for part in self.parts:
            part.step(step)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        for part in self.parts:
            part.scalars(at, values)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        for part in self.parts:
            part.epoch(at, summary, best)

    def end_phase(self) -> None:
        for part in self.parts:
            part.end_phase()

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        for part in self.parts:
            part.figure(tag, figure, step)

    def text(self, tag: str, text: str) -> None:
        for part in self.parts:
            part.text(tag, text)

    def message(self, line: str) -> None:
        for part in self.parts:
            part.message(line)

    def flush(self) -> None:
        for part in self.parts:
            part.flush()

    def finish(self, result: Mapping[str, Any]) -> None:
        for part in self.parts:
            part.finish(result)

    def close(self) -> None:
        for part in self.parts:
            with suppress(OSError):  # of a full disk, which has been reported
                part.close()
