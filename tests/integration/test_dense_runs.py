"""The experiments on NYUv2 and Cityscapes, on a few tiny files of their form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jlrun.cli.main import main
from jlrun.tasks import Depth, Segmentation, SurfaceNormals
from tests.data.scenes import write_scenes

TINY = [
    "epochs=1",
    "batch_size=3",
    "backbone.image.name=resnet18",
    "backbone.image.weights=null",
    "dataset.val_fraction=0.25",
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
]
MAPS = {"nyuv2": ("label", "depth", "normal"), "cityscapes": ("label_7", "depth")}
CLASSES = {"nyuv2": 13, "cityscapes": 7}
COMPARED = {
    "segmentation": Segmentation.compared,
    "depth": Depth.compared,
    "normal": SurfaceNormals.compared,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, maps in MAPS.items():
        write_scenes(tmp_path / name, {"train": 8, "val": 4}, maps, CLASSES[name], (16, 24))
    return tmp_path


def run(data: Path, *arguments: str) -> int:
    folder = f"hydra.run.dir={data / 'run'}"
    return main([*arguments, f"data_root={data}", *TINY, folder])


@pytest.mark.slow
def test_nyuv2_against_a_model_per_task(data: Path) -> None:
    assert run(data, "experiment=nyuv2_mtl", "heads.channels=8") == 0
    result = json.loads((data / "run" / "result.json").read_text())
    assert result["status"] == "completed"
    assert list(result["test"]) == list(COMPARED)
    for task, metrics in COMPARED.items():
        assert set(metrics) <= set(result["test"][task])
        gains = result["gain"]["per_metric"][task]
        assert result["gain"]["per_task"][task] == pytest.approx(sum(gains.values()) / len(gains))
        intervals = result["intervals"]
        for ends in (intervals["test"], intervals["baselines"]["single_task"]):
            assert set(metrics) <= set(ends[task])
        assert task in result["gain"]["interval"]
    percents = result["gain"]["per_task"].values()
    assert result["gain"]["delta_m_percent"] == pytest.approx(sum(percents) / len(percents))
    assert (data / "run/figures/curves.png").is_file()
    assert not list((data / "run/figures").glob("*samples*"))


def test_cityscapes_streamed_from_its_files(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streamed = ["engine.memory_budget=0", "engine.workers=0", "baselines=false"]
    streamed.append("recorder.figures=false")
    assert run(data, "experiment=cityscapes_mtl", "heads.channels=8", *streamed) == 0
    result = json.loads((data / "run" / "result.json").read_text())
    assert list(result["test"]) == ["segmentation", "depth"]
    primary = [result["val"][task][result["primary"][task]] for task in result["val"]]
    assert result["objective"]["value"] == pytest.approx(sum(primary) / 2)

    assert main(["evaluate", str(data / "run"), "--output", str(data / "scores.json")]) == 0
    again = json.loads((data / "scores.json").read_text())
    assert again["test"]["depth"] == pytest.approx(result["test"]["depth"], rel=1e-4)

    np.save(data / "images.npy", np.zeros((2, 3, 16, 24), dtype=np.uint8))
    tables = ["--input", str(data / "images.npy"), "--output", str(data / "table.csv")]
    assert main(["predict", str(data / "run"), *tables]) == 2
    assert "segmentation, depth: maps do not fit in a table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["heads=linear"], "Use heads=aspp for dense tasks"),
        (["backbone/image=resnet18"], "Use backbone/image=dilated_resnet for dense tasks"),
        (["dataset.augment.flip=0.5"], "dataset.augment: images are moved or mixed"),
    ],
)
def test_parts_that_do_not_fit_are_told_in_one_line(
    data: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(data, "experiment=nyuv2_mtl", "baselines=false", *arguments)
    error = capsys.readouterr().err
    assert code == 2
    assert complaint in error
    assert "Traceback" not in error
