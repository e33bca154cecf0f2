"""Columns that are passed through, and targets that new rows are scored with."""

from __future__ import annotations

from pathlib import Path

from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.layout import MISSING, Reading
from jlrun.data.tables.given_cells import columns_of, given_targets, read_cells
from jlrun.tasks import Multiclass, Multilabel, Regression, TaskSpec

LABELS = Target("t", "multilabel", separator=";")
READING = Reading(missing=MISSING)


def test_cells_are_those_of_the_lines_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('id,note\n007,"a\nb"\n8,NA\n9,c\n')
    assert columns_of(file, READING) == ["id", "note"]
    assert read_cells(file, READING, ["id", "note"], [2, 5]) == {
        "id": ["007", "9"],
        "note": ["a\nb", "c"],
    }
    assert read_cells(file, READING, ["note"], None) == {"note": ["a\nb", "", "c"]}


def test_targets_that_the_model_does_not_know_are_no_labels() -> None:
    classes = given_targets(
        TaskSpec("y", Multiclass(), ("1", "2")),
        Target("y", "multiclass"),
        ["2.0", "", "3"],
        READING,
    )
    assert classes.known.tolist() == [True, False, False]
    assert classes.values[0] == 1
    assert classes.strange == ("3",)
    labels = given_targets(
        TaskSpec("t", Multilabel(), ("a", "b")), LABELS, ["b;a", "a;c", "b"], READING
    )
    assert labels.known.tolist() == [True, False, True]
    assert labels.values[labels.known].tolist() == [[1, 1], [0, 1]]
    numbers = given_targets(
        TaskSpec("x", Regression(), ()), Target("x", "regression"), ["1.5", "high", ""], READING
    )
    assert numbers.known.tolist() == [True, False, False]
    assert numbers.values[0] == 1.5
    assert numbers.strange == ("high",)
