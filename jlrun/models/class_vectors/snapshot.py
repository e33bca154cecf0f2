"""Snapshot of the class vectors that a model was built with, in the files of its run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jlrun.models.class_vectors.files import FORMATS
from jlrun.models.class_vectors.text import PREFIX, text_embeddings

NAME = "class_vectors"


def keep(node: Mapping[str, Any], classes: Sequence[str], directory: Path) -> None:
    """Copy the source of a head's ``attributes`` into ``directory``, if it may change or vanish.

    Args:
        node: of the head.
        classes: of all heads, each once.
        directory: of the run.
    """
    source, name = node.get("attributes"), _name(node)
    if not isinstance(source, str) or name is None:
        return
    if source.startswith(PREFIX):
        table = text_embeddings(source, classes, "heads.attributes")
        np.savez(directory / name, classes=np.array(table.classes), vectors=table.values.numpy())
    else:
        shutil.copyfile(Path(source).expanduser(), directory / name)


def with_kept(node: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return a head's node with the copy in ``directory`` as its source, if there is one."""
    name = _name(node)
    copy = None if name is None else directory / name
    return {**node, "attributes": str(copy)} if copy is not None and copy.is_file() else {**node}


def _name(node: Mapping[str, Any]) -> str | None:
    """Return the name of the copy; None if none is needed."""
    source = node.get("attributes")
    if not isinstance(source, str):
        return None
    if source.startswith(PREFIX):
        return f"{NAME}.npz"
    suffix = Path(source).suffix.lower()
    return f"{NAME}{suffix}" if suffix in FORMATS else None
