"""What a run does not use is neither decoded, nor tokenised, nor checked."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.cli.main import main
from jlrun.data.datasets.shapes import load_shapes
from jlrun.data.reading import image_files
from jlrun.data.reading.texts import Tokenizer
from jlrun.data.splits import Subset, make_splits
from jlrun.data.tables import cells, load_table
from jlrun.errors import UserError
from tests.data.tables.files.made import rows_of, with_files, write_csv

TABLE = ["dataset=table", "dataset.path=t.csv", "dataset.targets=[label,price]", "engine.threads=1"]
QUICK = [
    "epochs=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
    "recorder.figures=false",
]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each kind of input is read, from now on."""
    found = Counter[str]()

    def count(owner: Any, name: str, kind: str) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **values: Any) -> Any:
            found[kind] += 1
            return real(*args, **values)

        monkeypatch.setattr(owner, name, counted)

    count(image_files, "in_mode", "image")
    count(cells, "read_audio", "audio")
    count(cells, "read_series", "series")
    count(Tokenizer, "__call__", "text")
    return found


def test_a_run_on_numbers_reads_no_files_and_no_texts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Counter[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_csv(Path("t.csv"), with_files(tmp_path, rows_of(40)))
    Path("photos/3.png").write_bytes(b"broken")
    run = ["mode=multitask", "modalities=[tabular]", "hydra.run.dir=run"]
    assert main([*run, *TABLE, *QUICK]) == 0
    assert main(["evaluate", "run"]) == 0
    assert main(["diagnose", "run"]) == 0
    check_warning_of_training_rows(capsys)
    assert read == {}
    text = make_splits(load_table("t.csv", modalities=["text"], targets=["label"]), Subset(), 0)
    text.train.fetch(torch.arange(4))
    assert set(read) == {"text"}
    with pytest.raises(UserError, match=r"photos/3\.png"):
        load_table("t.csv", modalities=["image"], targets=["label"])


def check_warning_of_training_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are told from each other by all inputs, also by those that the run does not use."""
    with Path("run/splits.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["place"]))
    split = [row["split"] for row in rows]
    lines = Path("t.csv").read_text().splitlines(keepends=True)
    Path("new.csv").write_text("".join([lines[0], *lines[6:]]))
    first = next(i for i, name in enumerate(split[5:]) if name == "train")
    told = f"warning: {split[5:].count('train')} of 35 rows were training rows of this run"
    capsys.readouterr()
    assert main(["predict", "run", "--input", "new.csv", "--output", "found.csv"]) == 0
    assert f"{told}, for example line {first + 2}: scores" in capsys.readouterr().out
    Path("new.csv").write_text("".join(lines).replace("colour", "shade"))
    assert main(["predict", "run", "--input", "new.csv", "--output", "found.csv"]) == 0
    assert "training rows" not in capsys.readouterr().out


def test_scenes_are_the_same_without_what_is_unused() -> None:
    whole = load_shapes(num_train=8, num_test=4, size=16)
    for modality in ("image", "text"):
        found = load_shapes(num_train=8, num_test=4, size=16, modalities=[modality])
        assert list(found.modalities) == [modality]
        batch = found.train.fetch(torch.arange(8))
        assert list(batch.inputs) == [modality]
        expected = whole.train.fetch(torch.arange(8)).inputs[modality]
        assert torch.equal(batch.inputs[modality], expected)
