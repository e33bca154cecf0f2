"""Marks between labels, and words that may be labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.labels import label_evidence
from jlrun.data.tables.files.layout import ColumnReading, Reading
from jlrun.data.tables.files.outline import outline
from jlrun.data.tables.files.request import Request
from jlrun.errors import UserError
from tests.data.tables.files.made import write_csv

TAGS = ["sea", "sea; sun", "sun; city", "city", "city; sea; sun", "sun"]


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (TAGS, ";"),
        ([tag.replace(";", ",") for tag in TAGS], ","),
        ([tag.replace("; ", "/") for tag in TAGS], "/"),
        (["1,234", "2,345", "1,345", "2"], None),
        (["I liked it, but it was small", "Nice, good", "It was fine, really"], None),
        (["Paris, France", "Rome, Italy", "Oslo, Norway"], None),  # no label without its partner
        (["a", "b"], None),
    ],
)
def test_evidence(cells: Sequence[str], separator: str | None) -> None:
    found = label_evidence([cells[i % len(cells)] for i in range(60)])
    assert (found and found.separator) == separator


def test_labels_are_proposed_and_read_as_asked(tmp_path: Path) -> None:
    rows = [{"n": str(i / 4), "tags": TAGS[i % 6]} for i in range(60)]
    path = write_csv(tmp_path / "t.csv", rows)
    proposed = outline(Request(path, targets=["tags"]))
    assert proposed.targets["tags"].kind == "multiclass"
    assert "labels divided by a semicolon" in proposed.reasons["tags"]
    assert "'dataset.targets={tags: multilabel}' reads them so" in proposed.reasons["tags"]
    asked = outline(Request(path, targets={"tags": "multilabel"})).targets["tags"]
    assert asked.to_plain() == {"column": "tags", "kind": "multilabel", "separator": ";"}
    given = Target("tags", "multilabel", separator="/")
    assert outline(Request(path, targets={"tags": given})).targets["tags"].separator == "/"


def test_words_taken_for_missing_are_counted_and_may_be_a_class(tmp_path: Path) -> None:
    cells = ["Dog", "None", "Cat", "NA", ""]
    rows = [{"n": str(i / 4), "pet": cells[i % 5], "y": ["yes", "None"][i % 2]} for i in range(60)]
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(UserError, match=r"every row has 'yes'.*'None' may be a class"):
        outline(Request(path, targets=["y"]))
    kept = Reading(columns={"y": ColumnReading(missing=())})
    found = outline(Request(path, targets=["y"], reading=kept))
    (note,) = found.notes["pet"]
    assert note.startswith("12 cells 'None', 12 of 'NA' taken for missing; 'None' may be a class")
    assert "'dataset.reading.columns={pet: {missing: []}}'" in note
    assert (found.targets["y"].kind, "y" in found.notes) == ("binary", False)
