"""The experiment on images and sounds of digits, on small files, with modalities missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jlrun.cli.main import main
from tests.data.av_files import write_av_digits

TINY = [
    "experiment=av_digits",
    "epochs=1",
    "batch_size=16",
    "dataset.num_train=60",
    "dataset.num_val=20",
    "dataset.num_test=30",
    "dataset.seconds=0.1",
    "dataset.missing_image=0.2",
    "dataset.missing_audio=0.3",
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
    "recorder.figures=false",
]


def result(folder: Path, *arguments: str) -> dict[str, Any]:
    run = folder / "run"
    write_av_digits(folder)
    assert main([*TINY, *arguments, f"data_root={folder}", f"hydra.run.dir={run}"]) == 0
    return json.loads((run / "result.json").read_text())


@pytest.mark.slow
def test_against_each_modality_and_their_ensemble(tmp_path: Path) -> None:
    found = result(tmp_path)
    assert found["status"] == "completed"
    assert list(found["test"]) == ["digit", "speaker"]
    assert set(found["baselines"]) == {"image", "audio", "ensemble"}
    assert "over_ensemble" in found["gain"]


@pytest.mark.parametrize("fusion", ["bottleneck", "low_rank"])
def test_other_fusions(tmp_path: Path, fusion: str) -> None:
    found = result(tmp_path, f"fusion={fusion}", "baselines=false", "sharing=mmoe")
    assert found["status"] == "completed"
    assert main(["evaluate", str(tmp_path / "run")]) == 0
