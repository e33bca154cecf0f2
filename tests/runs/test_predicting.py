"""Labels of images from their folders, and intervals of a run without validation residuals."""

from __future__ import annotations

from pathlib import Path

import torch

from jlrun.evaluation.kept_predictions import VAL_PREDICTIONS, save_predictions
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.predicting import folder_targets, kept_intervals, missing_interval_lines
from jlrun.tasks import Multiclass, Objective, Regression, TaskSpec

PET = Objective("pet", "input", TaskSpec("pet", Multiclass(), ("cat", "dog")), "pet")
PRICE = Objective("price", "input", TaskSpec("price", Regression(), ()), "price")


def test_folders_named_after_classes_are_labels() -> None:
    names = ["dog/1.png", "cat/new/2.png", "bird/3.png", "cat"]
    (found,) = folder_targets([PET, PRICE], names).values()
    assert found.known.tolist() == [True, True, False, False]
    assert found.values[:2].tolist() == [1, 0]
    assert folder_targets([PET, PET], names) == {}


def test_intervals_are_of_the_rows_that_the_run_kept(tmp_path: Path) -> None:
    assert kept_intervals([tmp_path], [PET, PRICE], 0.9) == {}
    (line,) = missing_interval_lines([PET, PRICE], {}, 0.9)
    assert line.startswith("price: no interval, as the run kept fewer than 9 validation rows")
    rows = RowPredictions(torch.zeros(9, 1), torch.arange(9.0))
    save_predictions(tmp_path, {"price": rows}, name=VAL_PREDICTIONS)
    found = kept_intervals([tmp_path], [PET, PRICE], 0.9)
    assert (found["price"].below, found["price"].above) == (-8, 8)
    assert missing_interval_lines([PRICE], found, 0.9) == []
