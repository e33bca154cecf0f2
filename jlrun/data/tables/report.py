"""Report on a table: skipped rows, suspicious columns, and how to read new rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jlrun.data.tables.column_warnings import Leak, UnknownLevels
from jlrun.data.tables.files.bad_rows import BadRows, as_csv
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.layout import Reading
from jlrun.files.run_directory import BAD_ROWS, TABLE
from jlrun.tasks.target_scales import Scale


@dataclass(frozen=True)
class TableReport:
    """Report on the files of a table, and how to read new rows.

    Attributes:
        modalities: modality -> its columns.
        reading: how the file is written.
        files_root: as in the config.
        bad: the bad rows of each file, all of them skipped.
        num_read: number of rows of the files, bad ones included.
        leaks: inputs that give a target away.
        coarse: columns whose numbers are too far from 0 for float64 to keep their differences.
        scaled: target -> the scale that it is learned on.
        unknown: split -> columns in which most rows have a category unknown to the model.
    """

    modalities: Mapping[str, ColumnsOf]
    reading: Reading
    files_root: str | None
    bad: Sequence[BadRows]
    num_read: int
    leaks: tuple[Leak, ...] = ()
    coarse: tuple[str, ...] = ()
    scaled: Mapping[str, Scale] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[UnknownLevels]] = field(default_factory=dict)

    @property
    def _skipped(self) -> int:
        return sum(bad.num_rows for bad in self.bad)

    def lines(self, where: str) -> list[str]:
        skipped = [
            f"{bad.num_rows} rows of {bad.path.name} are skipped: "
            + ", ".join(f"{count} {reason}" for reason, count in bad.counts().items())
            + f" ({BAD_ROWS})"
            for bad in self.bad
            if bad.num_rows
        ]
        leaks = [leak.line(where) for leak in self.leaks]
        scaled = [
            f"'{column}' is learned as its {'logarithm' if len(scale) == 1 else 'normal scores'}, "
            f"scored and predicted in its own units ({where}.target_transform=none: as it is)"
            for column, scale in self.scaled.items()
            if scale
        ]
        return [*skipped, *leaks, *scaled, *self.warnings()]

    def warnings(self) -> list[str]:
        """Return lines on what makes scores doubtful."""
        coarse = [
            f"'{column}' lies so far from 0 that float64 (16 digits) loses its spread: subtract a "
            "constant from the column in the file"
            for column in self.coarse
        ]
        unknown = [
            unknown.line(f"{split} rows")
            for split, some in self.unknown.items()
            for unknown in some
        ]
        return [*coarse, *unknown]

    def to_json(self) -> dict[str, Any]:
        reasons: dict[str, int] = {}
        for bad in self.bad:
            for reason, count in bad.counts().items():
                reasons[reason] = reasons.get(reason, 0) + count
        return {"rows": self.num_read, "skipped": self._skipped, "reasons": reasons}

    def files(self) -> dict[str, str]:
        table = {
            "modalities": {name: asdict(columns) for name, columns in self.modalities.items()},
            "reading": asdict(self.reading),
            "files_root": self.files_root,
        }
        found = {TABLE: json.dumps(table, indent=2, ensure_ascii=False) + "\n"}
        return found | ({BAD_ROWS: as_csv(self.bad)} if self._skipped else {})
