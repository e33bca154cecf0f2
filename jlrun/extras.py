"""Libraries that only some choices need: imported by them, with an error that names the fix."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from jlrun.errors import UserError


def import_extra(module: str, extra: str, where: str) -> Any:
    """Return a module of a library that comes with ``pip install 'jlrun[extra]'``.

    Args:
        module: its dotted name.
        extra: of ``pyproject.toml``.
        where: config path of the choice that needs it, or the file, for errors.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        fix = f"pip install 'jlrun[{extra}]'"
        raise UserError.of(where, f"needs {library}, which is not installed here: {fix}") from error
