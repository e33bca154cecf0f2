"""Gain over folds: the mean of the folds' differences, and its error."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from jlrun.runs.folds.fold_gain import fold_baselines, fold_gain
from jlrun.runs.folds.fold_runs import FoldRun
from jlrun.tasks import Multiclass, Regression, TaskSpec

TASKS = (TaskSpec("digit", Multiclass(), ("a", "b")), TaskSpec("size", Regression(), ()))
OURS, THEIRS = (0.90, 0.92, 0.88, 0.91), (0.80, 0.83, 0.79, 0.80)
R2, BASE_R2 = (0.05, -0.02, 0.01, 0.00), (-0.01, 0.03, -0.04, 0.02)


def run(number: int, against: str = "image", **more: Any) -> FoldRun:
    def scores(accuracy: float, r2: float) -> dict[str, dict[str, float]]:
        return {"digit": {"accuracy": accuracy}, "size": {"r2": r2}}

    other = scores(0.1, -1.0)
    baselines = {"image": other, "audio": other, "ensemble": scores(OURS[number], R2[number])}
    result = {
        "test": scores(OURS[number], R2[number]),
        "baselines": baselines | {against: scores(THEIRS[number], BASE_R2[number])},
        "gain": {
            "against": against,
            "per_metric": {"digit": {"accuracy": 1.0}, "size": {"r2": 1.0}},
            **more,
        },
    }
    return FoldRun(number, Path(str(number)), result, {})


def test_the_error_is_that_of_the_differences_within_folds() -> None:
    gain = fold_gain([run(number) for number in range(4)], TASKS, ratio=1 / 3)
    assert gain is not None
    assert gain["against"] == "image"
    unit = fmean(THEIRS)
    differences = [100 * (m - b) / unit for m, b in zip(OURS, THEIRS, strict=True)]
    assert gain["per_task"]["digit"] == pytest.approx(fmean(differences))
    error = math.sqrt(1 / 4 + 1 / 3) * stdev(differences)
    assert gain["standard_error"]["digit"] == pytest.approx(error)
    assert gain["kind"] == {"digit": "won", "size": "noise"}
    assert gain["negative_transfer"] == []
    low, high = gain["interval"]["size"]
    assert low < 0 < high
    assert gain["spread"]["size"]["r2"] == pytest.approx(
        2 * math.sqrt(1 / 4 + 1 / 3) * stdev(BASE_R2)
    )


def test_folds_that_choose_different_baselines_have_one_verdict() -> None:
    names = ("image", "audio", "image", "image")
    runs = [run(number, names[number], over_ensemble={}) for number in range(4)]
    gain, baselines = fold_gain(runs, TASKS, ratio=1 / 3), fold_baselines(runs)
    assert gain is not None
    assert gain["against"] == "best_modality"
    assert baselines["best_modality"]["digit"]["accuracy"] == pytest.approx(fmean(THEIRS))
    assert baselines["audio"]["digit"]["accuracy"] == pytest.approx((0.1 * 3 + THEIRS[1]) / 4)
    assert gain["over_ensemble"]["kind"] == {"digit": "same", "size": "same"}


def test_without_baselines_there_is_no_gain() -> None:
    runs = [FoldRun(i, Path(), {"test": {}, "baselines": {}, "gain": None}, {}) for i in range(2)]
    assert fold_gain(runs, TASKS, ratio=1) is None
    assert fold_baselines(runs) == {}
