"""Zero-shot learning as a user types it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from jlrun.cli.main import main

QUICK = ["engine.threads=1", "recorder.figures=false", "recorder.tensorboard=false"]
SMALL = ["batch_size=64", "backbone.image.channels=[4,8]", "backbone.image.hidden=32"]
SCORES = {"harmonic_mean", "unseen_accuracy", "seen_accuracy", "zsl_accuracy", "ausuc"}


def train(folder: Path, *overrides: str, progress: str = "none") -> dict:
    common = ["strategy=zero_shot", "epochs=2", *SMALL, *QUICK, f"recorder.progress={progress}"]
    command = [*common, *overrides, f"hydra.run.dir={folder}"]
    assert main(command) == 0
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("method", ["clip", "devise", "ale", "eszsl"])
def test_every_method_tells_how_it_does_on_unseen_classes(method: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(run, f"zero_shot={method}", "zero_shot.unseen=[1,5]")
    found = result["zero_shot"]
    assert found["unseen_classes"] == ["1", "5"]
    assert found["chance"]["zsl_accuracy"] == 0.5
    assert set(found["calibrated"]) == {"bias", *(SCORES - {"zsl_accuracy", "ausuc"})}
    test = {name: value for name, value in result["test"]["digit"].items() if name != "loss"}
    assert test == pytest.approx({name: found[name] for name in SCORES}, abs=1e-6)
    assert {*SCORES} == set(result["intervals"]["test"]["digit"])
    assert "harmonic_mean" not in result["val"]["digit"]  # no validation row is unseen
    assert result["objective"]["value"] == pytest.approx(
        result["val"]["digit"]["mean_class_accuracy"]
    )
    assert result["baselines"]["chance"]["digit"]["harmonic_mean"] == pytest.approx(0.1)
    # scored again from its checkpoint
    assert main(["evaluate", str(run), "--output", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["test"]["digit"] == pytest.approx(result["test"]["digit"])


def test_the_saved_model_needs_no_attribute_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "strokes.yaml"
    table.write_text(
        "0: [loop]\n1: [line]\n2: [curve, line]\n3: [curve, second curve]\n4: [line, angle]\n"
        "5: [curve, angle]\n6: [loop, curve]\n7: [line, angle, curve]\n8: [loop, second loop]\n"
        "9: [loop, line]\n"
    )
    run = tmp_path / "run"
    choices = ["zero_shot.unseen=[9]", f"zero_shot.attributes={table}", "zero_shot.calibration=0"]
    result = train(run, *choices, progress="plain")
    assert result["zero_shot"]["calibrated"] is None
    assert result["zero_shot"]["attributes_without_contrast"] == []
    out = capsys.readouterr().out
    assert "1 of 10 classes unseen: 9" in out
    assert "harmonic mean" in out
    table.unlink()
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "rows.npz", image=images)
    arguments = ["--input", str(tmp_path / "rows.npz"), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", str(run), *arguments]) == 0
    with (tmp_path / "out.csv").open() as file:
        assert all(row["digit"] in "0123456789" for row in csv.DictReader(file))


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    first = train(tmp_path / "a", "zero_shot=eszsl", "zero_shot.unseen=[1,5]")
    train(tmp_path / "b", "zero_shot=eszsl", "zero_shot.unseen=[1,5]")
    for file in ("result.json", "baselines/calibration/1/checkpoints/fit.json"):
        (tmp_path / "b" / file).unlink()
    assert main(["resume", str(tmp_path / "b")]) == 0
    second = json.loads((tmp_path / "b" / "result.json").read_text())
    assert second["zero_shot"] == first["zero_shot"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("zero_shot.unseen=[x]", "zero_shot.unseen: there is no class 'x' among 10"),
        ("zero_shot.unseen=0", "zero_shot.unseen: 0 is too small"),
        ("zero_shot.unseen=9", "zero_shot.unseen: 9 of 10 classes leaves 1"),
        ("zero_shot.attributes=words", "differ only in what is the same in all seen classes"),
        ("zero_shot.attributes=none.csv", "zero_shot.attributes: there is no file 'none.csv'"),
        ("zero_shot=dvise", "Did you mean 'devise'?"),
        ("zero_shot.method.margin=1", "there is no key 'margin'"),
        ("tasks=[digit,parity]", "tasks: zero-shot learning is about one multiclass task"),
        (
            "+target.tasks.digit.loss={focal:2}",
            "digit.loss: CLIP has a loss of its own",
        ),
        ("heads=mlp", "heads: strategy=zero_shot has a head that knows the classes"),
        ("dataset@target=printed_digits target.classes=[0,1]", "leaves 0 to learn from"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    override: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["strategy=zero_shot", *override.split(), *QUICK, f"hydra.run.dir={run}"]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()


def test_a_run_that_knows_an_unseen_class_is_no_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "first", "zero_shot.unseen=[1,5]", "zero_shot.calibration=0")
    start = ["zero_shot.calibration=0", f"source.run={tmp_path / 'first'}"]
    again = train(tmp_path / "again", "zero_shot.unseen=[1,5]", *start)
    assert again["zero_shot"]["unseen_classes"] == ["1", "5"]
    command = ["strategy=zero_shot", *SMALL, *QUICK, *start, "zero_shot.unseen=[2,5]"]
    capsys.readouterr()
    assert main([*command, f"hydra.run.dir={tmp_path / 'other'}"]) == 2
    assert "has learned 2, which zero_shot.unseen lists as unseen" in capsys.readouterr().err
