"""Figures as files."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from jlrun.training.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FigureFormat = Literal["png", "svg", "pdf"]
_LONGEST = 200  # bytes


class FigureFileRecorder(Recorder):
    """Write each figure to ``<folder>/<tag>.<format>``, slashes of the tag as underscores.

    Args:
        folder: is made with the first figure.
        kind: of the files; svg and pdf can be enlarged without loss, and hold their texts as such.
    """

    def __init__(self, folder: Path, kind: FigureFormat = "png") -> None:
        self.folder = folder
        self.kind: FigureFormat = kind

    def figure(self, tag: str, figure: Figure, step: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_short(tag.replace('/', '_'))}.{self.kind}"
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(figure_bytes(figure, self.kind))
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


def format_of(path: Path) -> FigureFormat:
    """Return the format that the suffix of a file names, PNG where it names none."""
    return next((kind for kind in get_args(FigureFormat) if path.suffix == f".{kind}"), "png")


def figure_bytes(figure: Figure, kind: FigureFormat) -> bytes:
    """Return the content of a file of a figure, the same whenever it is drawn."""
    if kind == "png":
        return png_bytes(figure)
    from matplotlib import rc_context

    # Texts are texts and not outlines; without a date and with fixed ids.
    dated = {"svg": "Date", "pdf": "CreationDate"}[kind]
    buffer = BytesIO()
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "jlrun"}):
        figure.savefig(buffer, format=kind, metadata={dated: None})
    return buffer.getvalue()
