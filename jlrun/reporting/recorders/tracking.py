"""Recorder of runs in an experiment tracker, such as Weights & Biases or MLflow."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from jlrun.files.atomic import write_json
from jlrun.reporting.hparams import hparam_values
from jlrun.reporting.recorders.figure_files import png_bytes
from jlrun.training.recorder import MAIN_FIT, NOTHING, ByFit, Header, Position, Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASELINES = "baselines/"
MOST_WAITING = 500  # points that are sent together


@dataclass(frozen=True)
class Point:
    """Number under a tag at an optimizer step of its fit."""

    tag: str
    value: float
    step: int


class Tracker(ABC):
    """One run at a tracker.

    Attributes:
        name: of the tracker, as its files are called.
    """

    name: str

    @abstractmethod
    def begin(self, title: str, known: str | None, settings: Mapping[str, Any]) -> str:
        """Begin the run, or go on with the one whose id is ``known``; return its id.

        Raises:
            UserError: if the tracker refuses.
        """

    @abstractmethod
    def log(self, points: list[Point]) -> None:
        """Send points, in the order of their steps within each fit."""

    @abstractmethod
    def picture(self, tag: str, picture: Image.Image, step: int) -> None:
        """Send a picture."""

    @abstractmethod
    def end(self, status: str, summary: Mapping[str, float]) -> None:
        """End the run.

        Args:
            status: ``completed``, ``failed`` or ``interrupted``.
            summary: tag -> number by which runs are compared.
        """


class TrackingRecorder(Recorder):
    """Sends numbers, figures and the result of a run to a tracker.

    Numbers wait until an epoch or a checkpoint, whichever is first, so that a step costs nothing. A
    resumed run goes on with the same run of the tracker: what was sent before is not sent again,
    but for the last step before its checkpoint.

    Args:
        run_dir: the run directory; ``tracking/<name>.json`` there holds the id.
        tracker: what it is sent to.
    """

    def __init__(self, run_dir: Path, tracker: Tracker) -> None:
        self._tracker = tracker
        self._state = run_dir / "tracking" / f"{tracker.name}.json"
        self._title = run_dir.name
        self._id: str | None = None
        self._sent: dict[str, int] = {}  # fit -> last step that earlier processes sent
        self._newest: dict[str, int] = {}
        self._waiting: list[Point] = []
        self._ended = True

    def rewind(self, keep: Mapping[str, int | None], recorded: ByFit = NOTHING) -> None:
        if not keep:
            return
        with suppress(OSError, ValueError, KeyError, TypeError):  # without it, a run of its own
            state = json.loads(self._state.read_text(encoding="utf-8"))
            self._id, self._sent = str(state["id"]), dict(state["sent"])

    def start(self, header: Header) -> None:
        chosen = hparam_values({**header.settings, **header.changed}, {})
        facts = {"mode": header.mode, "device": header.device, "parameters": header.parameters}
        self._id = self._tracker.begin(self._title, self._id, {**facts, **chosen})
        self._ended = False
        self._newest = dict(self._sent)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        if at.step < self._sent.get(at.fit, -1):
            return
        prefix = "" if at.fit == MAIN_FIT else f"{BASELINES}{at.fit}/"
        self._waiting += [Point(prefix + tag, value, at.step) for tag, value in values.items()]
        self._newest[at.fit] = max(at.step, self._newest.get(at.fit, 0))
        if len(self._waiting) >= MOST_WAITING:
            self._send()

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        self._send()

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        self._tracker.picture(tag, Image.open(BytesIO(png_bytes(figure))), step)

    def flush(self) -> None:
        self._send()
        self._state.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._state, {"id": self._id, "sent": self._newest})

    def finish(self, result: Mapping[str, Any]) -> None:
        if self._ended:
            return
        self.flush()
        self._tracker.end(result["status"], summary_of(result))
        self._ended = True

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            with suppress(Exception):  # the run has an error of its own, which must be seen
                self._tracker.end("failed", {})

    def _send(self) -> None:
        if self._waiting:
            self._tracker.log(self._waiting)
            self._waiting = []


def summary_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of ``result.json`` by which runs are compared."""
    scores = {
        f"test/{task}/{metric}": score
        for task, metrics in (result.get("test") or {}).items()
        for metric, score in metrics.items()
    }
    objective, gain = result.get("objective") or {}, result.get("gain") or {}
    found = {
        **scores,
        "objective": objective.get("value"),
        "gain/delta_m_percent": gain.get("delta_m_percent"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}
