"""Permissions of all that is written: as the umask says, however it comes into its place."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from jlrun.evaluation.kept_predictions import save_predictions
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files.atomic import copy_folder, replace_shared, write_json, write_text
from jlrun.models import checkpoints
from jlrun.reporting.recorders.figure_files import FigureFileRecorder
from jlrun.runs.exporting.contents import Export
from jlrun.runs.exporting.writing import write_export


@pytest.fixture(params=[0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_are_readable_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "run"
    write_text(home / "log.txt", "x")
    write_json(home / "result.json", {})
    replace_shared(home / "shared.json", b"{}")
    checkpoints.save(home / "checkpoints" / "best", nn.Linear(1, 1), {})
    save_predictions(home, {"y": RowPredictions(torch.zeros(2, 1), torch.zeros(2))})
    write_export(Export({"w": torch.zeros(1)}, {}), "card", home / "exported.safetensors")
    FigureFileRecorder(home).figure("curve", Figure(), 1)
    strict = tmp_path / "strict"
    strict.mkdir(mode=0o700)
    (strict / "fit.json").touch(mode=0o600)
    copy_folder(strict, home / "copied", home / ".copied", {"origin.json": {}}, "*.previous")

    found = {path: path.stat().st_mode & 0o777 for path in home.rglob("*")}
    wanted = {path: (0o777 if path.is_dir() else 0o666) & ~umask for path in found}
    assert found == wanted
    assert len(found) == 15
