"""Arguments of the verbs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NoReturn

from jlrun.errors import UserError


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError.of(self.prog.removeprefix("jlrun "), message)


def parser(verb: str, description: str) -> ArgumentParser:
    """Return a parser for ``jlrun <verb>`` that raises `UserError` for wrong arguments."""
    return _Parser(prog=f"jlrun {verb}", description=description)
