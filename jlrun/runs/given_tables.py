"""Tables that a program gave to a run, in the folder of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jlrun.config.compose import Composed
from jlrun.files.atomic import copy_file
from jlrun.files.run_directory import RunDirectory


@contextmanager
def placed(composed: Composed) -> Iterator[None]:
    """Copy tables to where the config says that they are; gone again if the run does not begin."""
    for source, path in composed.inputs.items():
        copy_file(source, path)
    try:
        yield
    finally:
        if not RunDirectory(composed.run_dir).config.exists():
            for path in composed.inputs.values():
                with suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()
