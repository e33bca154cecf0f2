"""Tables that a program gave to a run, in the folder of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jlrun.config.compose import Composed
from jlrun.config.nodes import data_nodes
from jlrun.files.atomic import copy_file
from jlrun.files.run_directory import RunDirectory

# Settings of a table that are files, and so may be frames of a program.
FILES = ("path", "val_path", "test_path")


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


def read_from_own_folder(config: dict[str, Any], directory: Path) -> None:
    """Let the config of a run, which may have been moved or copied, name the tables in its folder.

    Args:
        config: plain values; changed in place.
        directory: of the run; those of the folds of a cross-validation lie within its folder.
    """
    inputs = [RunDirectory(folder).inputs for folder in (directory, directory.parent.parent)]
    for node in data_nodes(config).values():
        for key in FILES:
            path = node.get(key)
            if not isinstance(path, str) or Path(path).parent.name != inputs[0].name:
                continue
            own = [folder / Path(path).name for folder in inputs]
            found = next((file for file in own if file.is_file()), None)
            if found is not None and isinstance(node, dict):
                node[key] = str(found.absolute())
