"""Callbacks: functions of a program that a run calls while it trains."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jlrun.errors import RunError, UserError
from jlrun.training.recorder import Header, PhaseInfo, Position, Recorder


@dataclass(frozen=True)
class Point:
    """A point of the curves of a run.

    Attributes:
        directory: of the run; of a cross-validation, that of the fold.
        fit: ``main``, or the baseline that is trained.
        phase: of the fit, such as ``pretrain``.
        epoch: of the phase, from 1.
        step: optimizer steps of the fit that are done.
        values: tag -> number, as in ``metrics.csv``: ``train/<task>/loss``, ``train/lr/…``,
            ``val/<task>/<metric>``.
    """

    directory: Path
    fit: str
    phase: str
    epoch: int
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Epoch(Point):
    """An epoch that has ended.

    Attributes:
        values: ``train/total_loss``, and each validation score.
        num_epochs: epochs that the phase may last.
        best: whether no earlier epoch of the phase was better.
    """

    num_epochs: int
    best: bool
    _asked: list[bool] = field(repr=False, compare=False)

    def stop(self) -> None:
        """Let this be the last epoch of the phase: the run goes on with its best weights."""
        self._asked.append(True)


class Callback:
    """Callback with a state of its own; does nothing by itself."""

    def on_point(self, point: Point) -> None:
        """The curves have a further point: of training (`recorder.log_every`), or of an epoch."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch has ended, and its validation rows are scored."""


Callbacks = Sequence[Callback | Callable[[Epoch], object]]
Watching = Callable[[str], Recorder] | None


def watching(callbacks: Callbacks) -> Watching:
    """Return what makes the recorder that calls them; None without any.

    Raises:
        UserError: if one can't be called with an epoch.
    """
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise UserError.of("callbacks", f"{_expected()}, in a list; not {_kind(callbacks)}")
    for callback in callbacks:
        if inspect.isclass(callback):
            name = callback.__name__
            raise UserError.of("callbacks", f"{name} is a class: give an object of it, {name}()")
        if not isinstance(callback, Callback) and not _takes_one(callback):
            raise UserError.of("callbacks", f"{_expected()}, not {_kind(callback)}")
    return (lambda phase: _Calling(callbacks)) if callbacks else None


class _Calling(Recorder):
    """Recorder that calls callbacks, in their order."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._directory, self._num_epochs = Path(), 0
        self._last: tuple[Position, Mapping[str, float]] | None = None
        self._asked: list[bool] = []

    def start(self, header: Header) -> None:
        self._directory = header.run_dir

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._num_epochs = phase.num_epochs
        self._asked = []

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        self._last = (at, values)
        point = Point(self._directory, at.fit, at.phase, at.epoch, at.step, dict(values))
        for callback in self._callbacks:
            if isinstance(callback, Callback):
                with _explained(callback, point):
                    callback.on_point(point)

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        scored, values = self._last or (at, {})
        epoch = Epoch(
            *(self._directory, at.fit, at.phase, at.epoch, at.step),
            {**(values if scored == at else {}), **summary},
            self._num_epochs,
            best,
            self._asked,
        )
        for callback in self._callbacks:
            with _explained(callback, epoch):
                if isinstance(callback, Callback):
                    callback.on_epoch(epoch)
                else:
                    callback(epoch)

    def wants_to_stop(self) -> bool:
        return bool(self._asked)


@contextmanager
def _explained(callback: object, point: Point) -> Iterator[None]:
    """Turn what a callback raises into one line that says where.

    Raises:
        RunError: with the error, and what goes on with the run.
    """
    try:
        yield
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        name = getattr(callback, "__name__", type(callback).__name__)
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        raise RunError(
            f"the callback {name} failed after epoch {point.epoch} of phase '{point.phase}' "
            f"({point.fit}): {reason} (line {last.lineno} of {last.filename}); to go on: "
            f"jlrun.load({str(point.directory)!r}).resume(callbacks=[…])"
        ) from error


def _takes_one(callback: object) -> bool:
    if not callable(callback):
        return False
    try:
        inspect.signature(callback).bind(None)
    except TypeError:
        return False
    except ValueError:  # of what is not written in Python
        return True
    return True


def _expected() -> str:
    return "expected functions of an epoch, or objects derived from jlrun.Callback"


def _kind(found: object) -> str:
    name = getattr(found, "__name__", "")
    if name and _takes_one(found):
        return f"{name} by itself"
    return f"{name}, which takes other arguments" if name else f"a {type(found).__name__}"
