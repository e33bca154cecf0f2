"""A TensorBoard event file that can be appended to, and rewritten without some of its events.

`torch.utils.tensorboard.SummaryWriter` starts a new file whenever it opens a folder, holds events
back for two minutes, and can only forget all tags from one step on, while the fits of a run share
their steps. The records, the checksums and the messages are TensorBoard's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter

from jlrun.errors import UserError
from jlrun.files.atomic import with_name

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
        assert self._file, "an event file is rewritten before it is appended to"
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        try:
            RecordWriter(self._file).write(event.SerializeToString())
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
                writer = RecordWriter(file)
                version = Event(wall_time=time.time(), file_version=FILE_VERSION)
                for event in chain([version], _events(old, keep)):
                    writer.write(event.SerializeToString())
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
    yield from RawEventFileLoader(str(path)).Load()
