"""Figure of a run as SVG or PDF."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

FORMATS = ("pdf", "svg", "png")  # the last is shown where there are several


@dataclass(frozen=True)
class VectorFigure:
    """A figure that can be enlarged without loss; a notebook shows an SVG.

    Attributes:
        path: of its file.
    """

    path: Path

    def save(self, path: str | PathLike[str]) -> None:
        """Copy the file.

        Raises:
            ValueError: if the other file has another suffix: it is not converted.
        """
        if Path(path).suffix != self.path.suffix:
            raise ValueError(f"'{path}' would hold a {self.path.suffix} figure; name it so")
        shutil.copyfile(self.path, path)

    def _repr_mimebundle_(self, **asked: object) -> dict[str, str | bytes]:
        if self.path.suffix == ".svg":
            return {"image/svg+xml": self.path.read_text(encoding="utf-8")}
        return {"application/pdf": self.path.read_bytes()}
