"""Digests of data are the same before and after they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jlrun.runs.fingerprints import digests, read, write
from jlrun.runs.fingerprints.fingerprint import DataPrint, SplitPrint


def data(classes: tuple[str, ...], first: int = 1) -> DataPrint:
    keys = np.array([first, 2, 3], np.uint64)
    split = SplitPrint(keys, keys, np.arange(3), "row", ())
    return DataPrint({"kind": classes}, dict.fromkeys(("train", "val", "test"), split))


def test_written_and_read(tmp_path: Path) -> None:
    made = {"dataset": data(("no", "yes"))}
    write(made, tmp_path)
    assert digests(read(tmp_path) or {}) == digests(made)


def test_other_rows_and_other_classes_have_others() -> None:
    variants = (data(("no", "yes")), data(("yes", "no")), data(("no", "yes"), first=9))
    assert len({digests({"dataset": each})["dataset"] for each in variants}) == 3
