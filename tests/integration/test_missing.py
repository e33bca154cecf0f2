"""Runs with several modalities say how they do without some, and what each contributes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jlrun.cli.main import main

QUICK = [
    "epochs=1",
    "dataset.limit=200",
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.log_every=4",
    "backbone.image.channels=[4,8]",
    "backbone.image.hidden=16",
]
NO_FIGURES = "recorder.figures=false"  # where none is looked at: they take longer than the run
THREE = ["dataset.modalities=[image,audio,text]", "modality_dropout={text: 0.5, image: 0.1}"]
SUBSETS = ["image", "audio", "text", "image+audio", "image+text", "audio+text", "image+audio+text"]


def result_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("missing") / "run"
    assert main(["mode=multimodal", *THREE, *QUICK, f"hydra.run.dir={folder}"]) == 0
    return folder


def test_the_result_has_every_subset_and_rate(run: Path) -> None:
    result = result_of(run)
    found = result["missing"]
    assert list(found["subsets"]) == SUBSETS
    assert [point["rate"] for point in found["rates"]] == [0.0, 0.3, 0.5, 0.7, 0.9]
    for task, scores in result["test"].items():
        assert found["subsets"][SUBSETS[-1]][task] == pytest.approx(scores)
        assert found["rows"]["audio"][task] > 0
    assert "missing" not in result["baselines"]
    assert found["never_missing"] == ["audio"]
    assert result["contribution"]["digit"]["never_missing"] == ["audio"]


def test_contributions_add_up_to_the_score_over_a_constant(run: Path) -> None:
    result = result_of(run)
    for task, told in result["contribution"].items():
        accuracy = result["test"][task]["accuracy"]
        assert told["all"] == pytest.approx(accuracy)
        assert sum(told["shapley"].values()) == pytest.approx(accuracy - told["none"])
    chance = {task: told["none"] for task, told in result["contribution"].items()}
    assert chance["digit"] == pytest.approx(0.1, abs=0.02)
    assert chance["parity"] == pytest.approx(0.5, abs=0.05)


def test_records_and_pictures_hold_the_same(run: Path) -> None:
    result = result_of(run)
    expected = result["missing"]["subsets"]["image+text"]["digit"]["accuracy"]
    tag = "missing/image+text/digit/accuracy"
    events = EventAccumulator(str(run / "tb"), size_guidance={"scalars": 0}).Reload()
    (event,) = events.Scalars(tag)
    assert (event.value, event.step) == (pytest.approx(expected), result["selected"]["step"])
    assert "contribution/audio/parity/shapley" in events.Tags()["scalars"]
    assert {"missing", "contribution"} <= set(events.Tags()["images"])
    with (run / "metrics.csv").open() as file:
        rows = {row["tag"]: row for row in csv.DictReader(file) if row["fit"] == "main"}
    assert float(rows[tag]["value"]) == expected
    assert "missing/rate_0.5/parity/accuracy" in rows
    for name in ("missing", "contribution"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 0
    log = (run / "log.txt").read_text()
    assert "lost at random" in log
    assert "digit accuracy (none" in log


def test_evaluate_finds_it_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.json"
    assert main(["evaluate", str(run), "--missing", "--output", str(output)]) == 0
    assert "lost at random" in capsys.readouterr().out
    scores, result = json.loads(output.read_text()), result_of(run)
    for key in ("missing", "contribution"):
        assert scores[key] == result[key]


def test_one_modality_can_miss_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = ["mode=multitask", "baselines=false", *QUICK, f"hydra.run.dir={run}"]
    assert main(arguments) == 0
    assert not {"missing", "contribution"} & result_of(run).keys()
    assert not (run / "figures" / "missing.png").exists()
    assert main(["evaluate", str(run), "--missing"]) == 2
    assert "the run has one modality, 'image'" in capsys.readouterr().err


def test_it_can_be_left_out(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["mode=multimodal", "baselines=false", "missing.evaluate=false", *QUICK]
    arguments.append(NO_FIGURES)
    assert main([*arguments, f"hydra.run.dir={run}"]) == 0
    assert not {"missing", "contribution"} & result_of(run).keys()
    assert "missing/" not in (run / "metrics.csv").read_text()


def test_any_mode_with_several_modalities_has_it(tmp_path: Path) -> None:
    """Here a source of images and sounds is carried over to a target of both."""
    run = tmp_path / "run"
    data = ["dataset@source=digits_dtmf", "dataset@target=digits_dtmf", "target.seed=1"]
    small = [o.replace("dataset.", "target.") for o in QUICK]
    more = ["source.limit=200", "pretrain_epochs=1", "baselines=false", "fusion=late"]
    more.append(NO_FIGURES)
    assert main(["mode=transfer", *data, *small, *more, f"hydra.run.dir={run}"]) == 0
    result = result_of(run)
    assert list(result["missing"]["subsets"]) == ["image", "audio", "image+audio"]
    assert set(result["contribution"]) == {"digit", "parity"}


def test_dropout_changes_training_but_no_baseline(tmp_path: Path) -> None:
    runs = {rate: tmp_path / f"run{rate}" for rate in (0.0, 0.5)}
    for rate, run in runs.items():
        options = [f"modality_dropout={rate}", NO_FIGURES]
        assert main(["mode=multimodal", *options, *QUICK, f"hydra.run.dir={run}"]) == 0
    whole, dropped = (result_of(run) for run in runs.values())
    assert whole["test"] != dropped["test"]
    assert whole["baselines"] == dropped["baselines"]
