"""A run keeps the file of class vectors that its model was built with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.class_vectors.files import FORMATS

NAME = "class_vectors"


def keep(node: Mapping[str, Any], directory: Path) -> None:
    """Copy the file that the ``attributes`` of a head's node name, if they do, to ``directory``."""
    file = _file(node)
    if file is not None:
        shutil.copyfile(file, directory / f"{NAME}{file.suffix.lower()}")


def with_kept(node: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return a head's node with the copy in ``directory`` in place of the file, if there is one."""
    file = _file(node)
    copy = None if file is None else directory / f"{NAME}{file.suffix.lower()}"
    return {**node, "attributes": str(copy)} if copy is not None and copy.is_file() else {**node}


def _file(node: Mapping[str, Any]) -> Path | None:
    source = node.get("attributes")
    if isinstance(source, str) and Path(source).suffix.lower() in FORMATS:
        return Path(source).expanduser()
    return None
