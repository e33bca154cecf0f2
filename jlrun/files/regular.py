"""Check for regular files: reading a named pipe would block forever, a device never ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jlrun.errors import UserError

_MISSING = "can't be read: No such file or directory"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def why_not_regular(path: str | Path) -> str | None:
    """Return why a path is not a regular file, following links; None if it is one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "is a link to nothing" if os.path.islink(path) else _MISSING
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except ValueError as error:  # of a path with a null character
        return f"is not a path: {error}"
    if stat.S_ISREG(mode):
        return None
    found = next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file")
    return f"is {found}; expected a file"


def check_regular(path: str | Path, where: str | None = None) -> None:
    """Check that a path is a regular file, before it is opened.

    Args:
        path: of the file.
        where: config path or option that names it, for the error; None: the path itself.

    Raises:
        UserError: if it is missing, or not a regular file.
    """
    reason = why_not_regular(path)
    if reason is None:
        return
    if where is None:
        raise UserError.of(str(path), reason)
    raise UserError.of(where, f"'{path}': {reason}")
