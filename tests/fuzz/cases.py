"""A case: what is typed, and the files that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _nothing(folder: Path) -> None:
    """Prepare no files."""


@dataclass(frozen=True)
class Case:
    """A command and its files.

    Attributes:
        name: which case it is, as `--only` takes it.
        arguments: of the command.
        prepare: writes its files into the folder it runs in.
        about: what was done to the files.
    """

    name: str
    arguments: list[str]
    prepare: Callable[[Path], None] = _nothing
    about: str = ""

    @property
    def runs(self) -> bool:
        """Whether it trains, so that a long time is no fault."""
        return self.arguments[0] not in ("check", "--cfg", "--info", "init-config", "ls")
