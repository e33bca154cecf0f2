"""Calibration of a run: what is fitted, kept, reported and applied."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from jlrun.config.sections import CalibrationSettings
from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.evaluation.scores import Prediction
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files.atomic import write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.calibrated import calibrated
from jlrun.runs.calibration import (
    calibration_report,
    fit_calibrations,
    read_calibrations,
    write_calibrations,
)
from jlrun.tasks import Binary, Multilabel, Objective, Regression, Task, TaskSpec

CLASSES = ("a", "b")
TASKS: dict[str, Task] = {"yes": Binary(), "tags": Multilabel(), "price": Regression()}
SCORED = tuple(Objective(n, "s", TaskSpec(n, t, CLASSES), n) for n, t in TASKS.items())
SETTINGS = CalibrationSettings()


def a_fit(**changes: Any) -> Any:
    last = SimpleNamespace(selection=changes.pop("selection", SCORED))
    return SimpleNamespace(phases=(last,), scored=SCORED, val_scored=None, **changes)


def rows(seed: int) -> dict[str, RowPredictions]:
    """Overconfident predictions of rare labels."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(300, 2, generator=generator).double() - 1.5
    target = (torch.rand(300, 2, generator=generator) < z.sigmoid()).float()
    return {
        "yes": RowPredictions(Binary().probabilities(3 * z[:, :1]), target[:, 0].long()),
        "tags": RowPredictions((3 * z).sigmoid(), target),
        "price": RowPredictions(z[:, :1], z[:, 0]),
    }


def test_what_validation_rows_suggest_is_kept_and_reported(tmp_path: Path) -> None:
    found = fit_calibrations(a_fit(), rows(1), SETTINGS)
    assert set(found) == {"yes", "tags"}
    assert all(2 < cast(float, each.temperature) < 5 for each in found.values())
    write_calibrations(found, tmp_path)
    assert read_calibrations(tmp_path, SCORED) == found
    report = calibration_report(found, SCORED, rows(2), seed=0)
    for task in ("yes", "tags"):
        each = report["calibration"][task]
        assert each["test_calibrated"]["ece"] < each["test"]["ece"]
    assert set(report["thresholds"]["tags"]["thresholds"]) == {"a", "b"}
    tuned = report["thresholds"]["yes"]
    assert list(tuned["thresholds"]) == ["b"]
    assert tuned["tuned"]["f1"] > tuned["half"]["f1"]
    low, high = tuned["intervals"]["f1"]
    assert low < tuned["tuned"]["f1"] < high


def test_a_target_without_labels_to_learn_from_is_not_calibrated() -> None:
    assert not fit_calibrations(a_fit(selection=()), rows(1), SETTINGS)
    settings = CalibrationSettings(temperature=False, thresholds="none")
    found = fit_calibrations(a_fit(), rows(1), settings)
    assert not calibration_report(found, SCORED, rows(2), seed=0)


def test_decisions_are_the_same_at_any_temperature(tmp_path: Path) -> None:
    """Thresholds move with the probabilities that are shown."""
    write_calibrations(fit_calibrations(a_fit(), rows(1), SETTINGS), tmp_path)
    test = rows(2)

    def plain(batch: Batch, objectives: Any) -> list[Prediction]:
        return [Prediction(test[o.label].probabilities, None) for o in objectives]

    decided = {}
    for temperature in (False, True):
        used = calibrated(tmp_path, SCORED, temperature, thresholds=True)
        yes, tags, price = used.predict(plain)(Batch({}), used.scored)
        assert torch.equal(price.probabilities, test["price"].probabilities)
        assert torch.equal(yes.probabilities, test["yes"].probabilities) is not temperature
        decided[temperature] = [
            o.spec.task.decide(p.probabilities)
            for o, p in zip(used.scored[:2], (yes, tags), strict=True)
        ]
    for one, other in zip(decided[False], decided[True], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(decided[True][0], Binary().decide(test["yes"].probabilities))


@pytest.mark.parametrize(("temperature", "option"), [(True, "--calibrated"), (False, "--tuned")])
def test_a_run_that_keeps_nothing_is_refused(
    tmp_path: Path, temperature: bool, option: str
) -> None:
    asked = (tmp_path, SCORED, temperature, not temperature)
    with pytest.raises(UserError, match=f"{option}: .* keeps no .*: it did not end"):
        calibrated(*asked)
    run = RunDirectory(tmp_path)
    write_json(run.result, {"status": "completed", "objective": None})
    run.overrides.write_text("[]")
    for config, why in (
        ("{strategy: zero_shot}", "of other classes"),
        ("{mode: multitask}", "no v"),
    ):
        run.config.write_text(config)
        with pytest.raises(UserError, match=f"{option}: .* keeps no .*{why}"):
            calibrated(*asked)


@pytest.mark.parametrize(
    "entry",
    [
        '{"rows": "many"}',
        '{"rows": 3, "temperature": -1}',
        '{"rows": 3, "thresholds": [2]}',
        '{"rows": 3, "thresholds": [0.5, 0.5]}',
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "calibration.json").write_text(f'{{"tasks": {{"yes": {entry}}}}}')
    with pytest.raises(UserError, match="is damaged"):
        read_calibrations(tmp_path, SCORED)
