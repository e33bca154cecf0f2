"""Files on the rows of a run: truth and prediction of each test row, and the split of each."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from jlrun.cli.main import main
from tests.data.tables.files.made import rows_of, write_csv

QUICK = ["engine.threads=1", "recorder.progress=none", "recorder.figures=false", "epochs=2"]
QUICK += ["recorder.tensorboard=false", "baselines=false", "batch_size=32", "modalities=[tabular]"]


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def accuracy(rows: list[dict[str, str]]) -> float:
    known = [row for row in rows if row["label_true"]]
    return sum(row["label"] == row["label_true"] for row in known) / len(known)


def test_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They give the scores of the run; rows without a label have neither truth nor prediction."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))
    rows = rows_of(150)
    for row in rows[::5]:
        row["label"] = ""
    write_csv(tmp_path / "t.csv", rows)
    table = ["mode=multitask", "dataset=table", "dataset.path=t.csv", *QUICK]
    targets = "dataset.targets={label: binary, price: regression}"
    assert main([*table, targets, "hydra.run.dir=run"]) == 0
    result = json.loads(Path("run/result.json").read_text())

    splits: Mapping[int, str] = {int(row["place"]): row["split"] for row in read("run/splits.csv")}
    assert sorted(splits) == list(range(2, 152))
    found = read("run/predictions/test.csv")
    assert [int(row["place"]) for row in found] == [p for p, s in splits.items() if s == "test"]
    assert {row["file"] for row in found} == {"t.csv"}
    for row in found:
        given = rows[int(row["place"]) - 2]
        assert row["label_true"] == given["label"]
        assert float(row["price_true"]) == float(given["price"])
        assert bool(row["label"]) == bool(given["label"]) == bool(row["label_p_good"])
        assert float(row["price_lower"]) < float(row["price"]) < float(row["price_upper"])
    assert accuracy(found) == pytest.approx(result["test"]["label"]["accuracy"])
    errors = [abs(float(row["price"]) - float(row["price_true"])) for row in found]
    assert sum(errors) / len(errors) == pytest.approx(result["test"]["price"]["mae"])

    assert main([*table, targets, "recorder.rows=false", "hydra.run.dir=off"]) == 0
    assert not Path("off/splits.csv").exists()
    assert not Path("off/predictions").exists()
