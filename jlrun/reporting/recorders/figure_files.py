"""Figures as PNG files."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.training.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LONGEST = 200  # bytes


class FigureFileRecorder(Recorder):
    """Write each figure to ``<folder>/<tag>.png``, slashes of the tag turned into underscores.

    Args:
        folder: is made with the first figure.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_short(tag.replace('/', '_'))}.png"
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(png_bytes(figure))
        os.replace(temporary, path)


def _short(name: str) -> str:
    """Return a name that file systems take: of a longer one the beginning, and a hash."""
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: _LONGEST - 9].decode(errors='ignore')}-{digest}"


@lru_cache(maxsize=1)  # drawing takes long, and every recorder of figures asks for the same one
def png_bytes(figure: Figure) -> bytes:
    """Return the figure as a PNG at its own resolution."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    return buffer.getvalue()
