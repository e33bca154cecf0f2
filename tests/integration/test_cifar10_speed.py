"""`experiment=cifar10_speed` on a few images in CIFAR-10's own files, on a CPU."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml

from jlrun.cli.main import main

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write_cifar10(root: Path, rows: int) -> None:
    """Write ``rows`` images in each of the six files."""
    folder, draws = root / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        labels = [i % 10 for i in range(rows)]
        dark = np.array(labels)[:, None] * 20  # by the class
        data = (dark + draws.integers(0, 30, (rows, 3072))).astype(np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))


def test_it_trains_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path / "data", 40)
    # The files of this test have other checksums than the real ones.
    checked = "torchvision.datasets.cifar.check_integrity"
    monkeypatch.setattr(checked, lambda path, md5=None: Path(path).is_file())
    run = tmp_path / "run"
    small = ("epochs=2", "batch_size=20", "optimizer.lr=0.01", "engine.compile=false", "seed=0")
    place = (f"data_root={tmp_path / 'data'}", f"hydra.run.dir={run}", "recorder.figures=false")
    assert main(["experiment=cifar10_speed", *small, *place]) == 0
    result = json.loads((run / "result.json").read_text())
    assert result["test"]["label"]["accuracy"] > 0.3  # of ten classes
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["backbone"]["image"]["name"] == "resnet18"
    assert config["engine"]["precision"] == "bf16"
