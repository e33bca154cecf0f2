"""Unforeseen errors: of jlrun, of a library, or of the user's own code."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

from jlrun.errors import shortened

_LOG = "jlrun_log"


def note_log(error: BaseException, log: Path) -> None:
    """Remember in which file the traceback of an error is kept."""
    vars(error)[_LOG] = str(log)


def fault_lines(error: BaseException) -> str:
    """Return the message of an error: one line that states where its traceback is.

    An error in the user's own code is shown with its traceback, from where their code begins,
    since they are about to fix it.
    """
    message = shortened(" ".join(str(error).split())[:500])
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    own = own_frames(error.__traceback__)
    if own is not None:
        shown = "".join(traceback.format_exception(error.with_traceback(own), chain=False))
        return f"{shown.rstrip()}\njlrun: your own code failed: {what}"
    log = vars(error).get(_LOG) or _keep(error)
    return (
        f"jlrun: {what}: this is a fault of jlrun, or of a class of your own; the traceback is in "
        f"{log}; please report it"
    )


def own_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame of the user's own code on; None if none is."""
    while trace is not None and _is_installed(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_installed(file: str) -> bool:
    """Return whether code belongs to jlrun, Python or an installed library."""
    if file.startswith("<"):  # frozen modules, code that a library makes
        return True
    ours = Path(__file__).resolve().parents[1]  # the folder of jlrun
    paths = sysconfig.get_paths()
    names = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    names += [*site.getsitepackages(), site.getusersitepackages(), sys.prefix]
    known = [ours, *(Path(name).resolve() for name in names)]
    path = Path(file).resolve()
    return any(path.is_relative_to(folder) for folder in known) or "site-packages" in path.parts


def _keep(error: BaseException) -> str:
    """Write the traceback to a new file, and return where that is."""
    text = "".join(traceback.format_exception(error))
    try:
        number, name = tempfile.mkstemp(prefix="jlrun-fault-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "what JLRUN_DEBUG=1 shows"
    return name
