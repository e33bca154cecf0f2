"""Arguments of the verbs."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jlrun.config.nodes import SEVERAL, SINGLE, SOURCES
from jlrun.errors import UserError


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError.of(self.prog.removeprefix("jlrun "), message)


def given_path(text: str) -> Path:
    """Return an argument as a path.

    Raises:
        ArgumentTypeError: if it is empty, which would mean the folder that one is in.
    """
    if not text.strip():
        raise ArgumentTypeError("is empty; name a file or folder (. is the one you are in)")
    return Path(text)


def parser(verb: str, description: str) -> ArgumentParser:
    """Return a parser for ``jlrun <verb>`` that raises `UserError` for wrong arguments."""
    return _Parser(prog=f"jlrun {verb}", description=description)


def names_data(overrides: Sequence[str]) -> bool:
    """Return whether overrides replace a run's data: its data sets, or the seed of splits."""
    nodes = (*SINGLE, SEVERAL, SOURCES, "data_root", "seed", "zero_shot")
    return any(override.partition("=")[0].split(".")[0] in nodes for override in overrides)
