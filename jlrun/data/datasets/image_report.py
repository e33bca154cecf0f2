"""Report on files of images: those that are skipped, and those of which one frame is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from jlrun.data.file_checks import unusable
from jlrun.data.reading.image_decoding import frames_beyond_first
from jlrun.data.reading.image_files import read_picture
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.files.run_directory import BAD_ROWS

OnError = Literal["fail", "skip"]
Label = TypeVar("Label", bound=int | None)

REASON = "corrupt image"
_NAMED = 10  # in a line of the log; the file of the run has all


@dataclass(frozen=True)
class ImageReport:
    """Report on the image files of a data set.

    Attributes:
        num_files: all of them.
        bad: file -> why it can't be used, of those that are skipped.
        longer: those with further frames or pages, which are not read.
    """

    num_files: int
    bad: Mapping[Path, str]
    longer: Sequence[Path]

    @classmethod
    def of(cls, paths: Sequence[Path], spec: ImageSpec, on_error: OnError) -> ImageReport:
        """Return the report on files; with ``skip`` each is read, unless an earlier run did."""
        bad = unusable(paths, lambda path: read_picture(path, spec)) if on_error == "skip" else {}
        return cls(len(paths), bad, [path for path in paths if frames_beyond_first(path)])

    def left(
        self, images: Iterable[tuple[Path, Label]], classes: Sequence[str], every: bool = True
    ) -> list[tuple[Path, Label]]:
        """Return the images that are not skipped.

        Args:
            images: of a split, each with its class.
            classes: names of the classes.
            every: whether every class must keep an image; otherwise one image is enough.

        Raises:
            UserError: if too few are left.
        """
        found = list(images)
        left = [(path, label) for path, label in found if path not in self.bad]
        lost = {label for _, label in found} - {label for _, label in left}
        if lost and (every or not left):
            named = [repr(classes[label]) for label in sorted(i for i in lost if i is not None)]
            what = f"of {', '.join(named)}" if named else "without a label"
            first, why = next((path, self.bad[path]) for path, label in found if label in lost)
            message = f"skip leaves no image {what}: {first}: {why}"
            raise UserError.of("dataset.on_error", message)
        return left

    def lines(self, where: str) -> list[str]:
        """Return lines for the log; ``where`` is the path of the data set in the config."""
        lines = []
        if self.bad:
            title = f"skipped images: {len(self.bad)} of {self.num_files:,} ({BAD_ROWS}): "
            lines.append(title + _listed([f"{path}: {why}" for path, why in self.bad.items()]))
        if self.longer:
            title = f"images with several frames or pages: {len(self.longer)}; the first is read: "
            lines.append(title + _listed([str(path) for path in self.longer]))
        return lines

    def warnings(self) -> list[str]:
        """Return no lines: what is skipped does not make scores doubtful."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``data`` in ``result.json``."""
        reasons = {REASON: len(self.bad)} if self.bad else {}
        return {"rows": self.num_files, "skipped": len(self.bad), "reasons": reasons}

    def files(self) -> dict[str, str]:
        """Return name -> content of files for the run directory."""
        return {BAD_ROWS: self._as_csv()} if self.bad else {}

    def _as_csv(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["file", "place", "reason", "detail"])
        table.writerows([str(path), "", REASON, why] for path, why in self.bad.items())
        return text.getvalue()


def _listed(items: Sequence[str]) -> str:
    more = f"; … and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return "; ".join(items[:_NAMED]) + more
