"""A run on a folder of images, and other images: evaluated, predicted, scored, left out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jlrun.cli.main import main

QUICK = ["engine.threads=1", "recorder.progress=none", "recorder.figures=false", "epochs=1"]
QUICK += ["recorder.tensorboard=false", "baselines=false", "batch_size=8"]


def write_images(root: Path, brightness: int) -> None:
    generator = np.random.default_rng(brightness)
    for split, count in (("train", 10), ("test", 6)):
        for level, name in ((0, "dark"), (60, "light")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = generator.integers(0, 80, (8, 8, 3)) + level + brightness
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")


def test_other_images_are_read_as_the_run_s_model_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`evaluate` and `predict` give the same scores, although the other images are brighter."""
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "own", 0)
    write_images(tmp_path / "other", 90)
    data = ["mode=multitask", "dataset=imagefolder", "dataset.root=own", "dataset.size=8"]
    assert main([*data, *QUICK, "hydra.run.dir=run"]) == 0
    with Path("run/predictions/test.csv").open() as file:
        files = [row["file"] for row in csv.DictReader(file)]
    assert files[0] == str(Path("own/test/dark/0.png"))

    assert main(["evaluate", "run", "dataset.root=other", "--output", "e.json"]) == 0
    Path("other/test/dark/bad.png").write_text("no image")
    new = ["predict", "run", "--input", "other/test", "--output", "p.csv", "--scores", "p.json"]
    assert main(new) == 2
    assert "other/test/dark/bad.png: not a readable image" in capsys.readouterr().err
    assert main([*new, "--on-error", "skip"]) == 0
    out = capsys.readouterr().out
    assert "skipped: other/test/dark/bad.png: not a readable image" in out
    assert "label, 12 rows with a label: accuracy" in out
    assert "training rows" not in out
    assert main(["predict", "run", "--input", "own/train", "--output", "t.csv"]) == 0
    with Path("run/splits.csv").open() as file:
        count = [row["split"] for row in csv.DictReader(file)].count("train")
    assert f"{count} of 20 rows were training rows of this run" in capsys.readouterr().out
    found = json.loads(Path("p.json").read_text())["scores"]["label"]
    assert found.pop("rows") == 12
    again = json.loads(Path("e.json").read_text())["test"]["label"]
    assert found == pytest.approx(again, rel=1e-5)
