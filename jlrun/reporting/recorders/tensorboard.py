"""TensorBoard: curves, pictures, texts and HParams of a run, in one event file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

from jlrun.errors import UserError
from jlrun.reporting.hparams import OBJECTIVE_TAG, hparam_values
from jlrun.reporting.recorders.figure_files import png_bytes
from jlrun.reporting.recorders.scalar_charts import charts_of
from jlrun.training.recorder import (
    MAIN_FIT,
    NOTHING,
    ByFit,
    Header,
    Position,
    Recorder,
    is_kept,
    is_of_the_end,
    main_goes_on,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import BinaryIO

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from jlrun.files.atomic import with_name
from jlrun.files.records import framed, read_records

FILE_VERSION = "brain.Event:2"


class EventFile:
    """The one event file of a folder.

    Args:
        folder: is made where it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def add(self, step: int, values: list[Summary.Value]) -> None:
        """Append one event; it is in the file when this returns."""
        self._append(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def add_numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Append one event with numbers under their tags; it is in the file when this returns."""
        event = Event(wall_time=time.time(), step=step)
        add = event.summary.value.add
        for tag, value in values.items():
            add(tag=tag, simple_value=value)
        self._append(event)

    def _append(self, event: Event) -> None:
        assert self._file, "an event file is rewritten before it is appended to"
        try:
            self._file.write(framed(event.SerializeToString()))
            self._file.flush()
        except OSError as error:
            raise with_name(error, self.folder) from error

    def sync(self) -> None:
        """Have the disk hold all events."""
        if self._file:
            os.fsync(self._file.fileno())

    def rewrite(self, keep: Callable[[str, int, bool], bool], check: Callable[[], None]) -> None:
        """Keep the values for which ``keep(tag, step, is a number)``, asked in order; then append.

        The new file has a new name, by which a running TensorBoard notices that it replaces the
        steps it has already read.

        Args:
            keep: whether to keep a value.
            check: called when all values of earlier files were asked for, if there are any; what
                it raises leaves all as it was.
        """
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        old = sorted(self.folder.glob("*tfevents*"))
        partial = self.folder / "rewritten"
        try:
            with partial.open("wb") as file:
                version = Event(wall_time=time.time(), file_version=FILE_VERSION)
                for event in chain([version], _events(old, keep)):
                    file.write(framed(event.SerializeToString()))
            if old:
                check()
            path = self.folder / f"events.out.tfevents.{time.time_ns()}"
            os.replace(partial, path)
        except (OSError, UserError):
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        for replaced in old:
            replaced.unlink()
        self._file = path.open("ab")

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
            self._file = None


def _events(paths: list[Path], keep: Callable[[str, int, bool], bool]) -> Iterator[Event]:
    """Yield what is to be kept, up to where a kill cut a file short."""
    for path in paths:
        for record in _records(path):
            event = Event.FromString(record)
            values = [
                value
                for value in event.summary.value
                if keep(value.tag, event.step, value.HasField("simple_value"))
            ]
            if values:
                summary = Summary(value=values)
                yield Event(wall_time=event.wall_time, step=event.step, summary=summary)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file up to the first one that is not as it was written."""
    if not path.is_file():
        raise UserError.of(str(path), "is no file; delete it")
    with path.open("rb") as file:
        yield from read_records(file)


NAME = "tb"
FIX = "restore it from a copy, or go on without what it shows: make it an empty folder"
BASELINES = "baselines/"
HPARAMS_TAGS = "_hparams_/"


class TensorBoardRecorder(Recorder):
    """Write what TensorBoard shows; the tags of a baseline begin with ``baselines/<fit>/``.

    Args:
        folder: gets one event file; `rewind` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = EventFile(folder)
        self._last_step: dict[str, int] = {}  # of what an earlier process recorded
        self._written: set[str] = set()
        self._newest: dict[str, int] = {}  # tag -> step of its last value
        self._counts = Counter[str]()  # fit -> how many numbers it has
        self._hparams: dict[str, Any] = {}
        self._charts: Mapping[str, Mapping[str, str]] = {}
        self._laid_out = 0  # tags that the charts were made of

    def start(self, header: Header) -> None:
        self._hparams = hparam_values({"mode": header.mode, **header.settings}, header.changed)

    def recorded(self, fit: str) -> dict[str, Any]:
        return {NAME: self._counts[fit]}

    def rewind(
        self,
        keep: Mapping[str, int | None],
        recorded: ByFit = NOTHING,
    ) -> None:
        known = {fit: found[NAME] for fit, found in recorded.items()}
        if known and not self._file.folder.exists():
            raise UserError.of(str(self._file.folder), f"is missing; {FIX}")
        self._last_step, self._newest, self._counts = {}, {}, Counter()
        self._laid_out = 0
        goes_on = main_goes_on(keep)

        def is_kept_value(tag: str, step: int, is_number: bool) -> bool:
            fit = _fit_of(tag, keep)
            own = tag if fit == MAIN_FIT else tag.removeprefix(f"{BASELINES}{fit}/")
            if goes_on and (not is_number or is_of_the_end(own)):
                return False
            if tag.startswith(HPARAMS_TAGS) or tag == OBJECTIVE_TAG:
                return False  # the end of the run writes them anew
            if self._is_known(tag, step) or not is_kept(fit, step, keep):
                return False
            self._last_step[tag] = step
            if is_number:
                self._count(fit, [tag], step)
            return True

        def is_whole() -> None:
            for fit, count in known.items():
                if self._counts[fit] < count:
                    what = f"'{fit}' has {self._counts[fit]} values instead of {count}"
                    raise UserError.of(str(self._file.folder), f"is damaged ({what}); {FIX}")

        self._file.rewrite(is_kept_value, is_whole)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        prefix = "" if at.fit == MAIN_FIT else f"{BASELINES}{at.fit}/"
        self._add_numbers(at.step, at.fit, {prefix + t: float(v) for t, v in values.items()})

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        width, height = figure.canvas.get_width_height()
        image = Summary.Image(
            encoded_image_string=png_bytes(figure), width=width, height=height, colorspace=4
        )
        self._add(step, [Summary.Value(tag=tag, image=image)])

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        if at.fit == MAIN_FIT:
            self._lay_out()

    def precision_recall(self, tag: str, positive: Tensor, scores: Tensor, step: int) -> None:
        from torch.utils.tensorboard.summary import pr_curve

        found = pr_curve(tag, positive.cpu().numpy(), scores.cpu().numpy())
        self._add(step, [*found.value])

    def embedding(self, name: str, vectors: Tensor, labels: Mapping[str, Sequence[str]]) -> None:
        from jlrun.reporting.recorders.projector import write_embedding

        write_embedding(self._file.folder, name, vectors, labels)

    def text(self, tag: str, text: str) -> None:
        from torch.utils.tensorboard.summary import text as text_summary

        (value,) = text_summary(tag, text).value
        value.tag = tag  # PyTorch appends "/text_summary"
        self._add(0, [value])

    def finish(self, result: Mapping[str, Any]) -> None:
        if result["status"] != "completed":
            return
        self._lay_out()  # a run that goes on after its last epoch has none yet
        metrics, objective = _test_scores(result["test"]), result["objective"]
        metrics |= {OBJECTIVE_TAG: objective["value"]} if objective else {}
        shown = dict(metrics)
        for name, scores in result["baselines"].items():
            shown |= _test_scores(scores, f"{BASELINES}{name}/")
        missing = [tag for tag in shown if tag not in self._written | self._last_step.keys()]
        step = result["selected"]["step"]
        self._add_numbers(step, MAIN_FIT, {tag: shown[tag] for tag in missing})
        for value in _hparams_values({**self._hparams, "seed": result["seed"]}, metrics):
            self._file.add(0, [value])

    def flush(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()

    def _lay_out(self) -> None:
        """Write which curves share a chart, whenever there are others."""
        if len(self._newest) == self._laid_out:
            return
        self._laid_out = len(self._newest)
        charts = charts_of(t for t in self._newest if not t.startswith(BASELINES))
        if charts == self._charts:
            return
        from torch.utils.tensorboard.summary import custom_scalars

        self._charts = charts
        layout = {
            category: {title: ["Multiline", [pattern]] for title, pattern in titles.items()}
            for category, titles in charts.items()
        }
        self._add(0, [*custom_scalars(layout).value])

    def _is_known(self, tag: str, step: int) -> bool:
        return step <= self._last_step.get(tag, -1)

    def _add(self, step: int, values: list[Summary.Value]) -> None:
        new = [value for value in values if not self._is_known(value.tag, step)]
        self._written.update(value.tag for value in new)
        if new:
            self._file.add(step, new)

    def _add_numbers(self, step: int, fit: str, values: Mapping[str, float]) -> None:
        new = {tag: x for tag, x in values.items() if not self._is_known(tag, step)}
        self._written.update(new)
        if new:
            self._file.add_numbers(step, new)
            self._count(fit, new, step)

    def _count(self, fit: str, tags: Iterable[str], step: int) -> None:
        """Count values, but those of which `rewind` would find that the tag is further already."""
        newest = [tag for tag in tags if step > self._newest.get(tag, -1)]
        self._newest.update(dict.fromkeys(newest, step))
        self._counts[fit] += len(newest)


def _fit_of(tag: str, fits: Mapping[str, Any]) -> str:
    """Return which of ``fits`` wrote the tag, "" if none.

    Names of fits may contain slashes, but none is a folder of another.
    """
    if not tag.startswith(BASELINES):
        return MAIN_FIT
    return next((fit for fit in fits if tag.startswith(f"{BASELINES}{fit}/")), "")


def _test_scores(scores: Mapping[str, Mapping[str, float]], prefix: str = "") -> dict[str, float]:
    """Return tag -> score, without scores that could not be measured."""
    return {
        f"{prefix}test/{task}/{metric}": value
        for task, by_metric in scores.items()
        for metric, value in by_metric.items()
        if value is not None and not math.isnan(value)
    }


def _hparams_values(settings: Mapping[str, Any], metrics: dict[str, float]) -> list[Summary.Value]:
    from torch.utils.tensorboard.summary import hparams

    return [value for summary in hparams(dict(settings), metrics) for value in summary.value]
