"""Reference models in runs: in results, records and gains, unless they are not asked for."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jlrun.config import checked
from jlrun.errors import Interrupted
from jlrun.evaluation.references import fitting
from jlrun.evaluation.references.estimators import MODELS
from jlrun.evaluation.references.stacking import STACKED
from jlrun.runs.execution import execute, resume
from jlrun.runs.references import WITHOUT_VAL, make_references
from jlrun.runs.settings import RunSettings
from jlrun.training.plan import Comparison
from jlrun.training.recorder import NullRecorder
from tests.data.tables.files.made import rows_of, write_csv

QUICK = (
    *("dataset=table", "dataset.path=t.csv", "epochs=1", "engine.threads=1", "batch_size=32"),
    *("recorder.progress=none", "recorder.figures=false", "missing.evaluate=false"),
    "hydra.run.dir=run",
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))
    rows = rows_of(90)
    for row in rows[::9]:
        row["price"] = ""
    write_csv(tmp_path / "t.csv", rows)


def run(*overrides: str) -> dict[str, Any]:
    execute(checked([*QUICK, *overrides]))
    return result()


def result() -> dict[str, Any]:
    return json.loads(Path("run", "result.json").read_text())


def tags(folder: str) -> set[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(folder)
    found.Reload()
    return set(found.Tags()["scalars"])


def test_an_interrupted_run_with_references_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, calls = fitting.fit, list[str]()

    def stopped(candidate: Any, *rest: Any) -> Any:
        calls.append(candidate.model)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return fit(candidate, *rest)

    monkeypatch.setattr(fitting, "fit", stopped)
    with pytest.raises(Interrupted):
        run("mode=multitask", "dataset.targets=[label,price]")
    assert (len(calls), result()["status"]) == (3, "interrupted")
    resume(Path("run").absolute())
    found = result()
    assert list(found["baselines"]) == ["single_task", "reference"]
    models = found["reference_models"]
    assert models["label"]["models"].keys() - {"majority"} == {*MODELS, STACKED}
    for task, each in models.items():
        assert found["baselines"]["reference"][task] == each["models"][each["chosen"]]["test"]
    assert models["price"]["train_rows"] < models["label"]["train_rows"]
    over = found["gain"]["over_reference"]
    assert over["per_task"].keys() == {"label", "price"} == over["kind"].keys()
    assert found["gain"]["against"] == "single_task"
    assert found["intervals"]["baselines"].keys() == {"single_task", "reference"}
    assert "baselines/reference/test/label/accuracy" in tags("run/tb")
    with Path("run", "metrics.csv").open() as file:
        assert not [row for row in csv.DictReader(file) if row["fit"] == "reference"]
    log = Path("run", "log.txt").read_text()
    assert "fusion=gated: for text, tabular" in log
    assert "reference model" in log


def test_a_single_task_is_compared_with_its_reference() -> None:
    found = run("mode=multitask", "dataset.targets=[label]", "modalities=[tabular]")
    assert list(found["baselines"]) == ["reference"]
    gain = found["gain"]
    assert gain["against"] == "reference"
    assert gain["per_task"] == gain["over_reference"]["per_task"]


def test_without_validation_rows_there_is_none_and_it_is_said() -> None:
    options = ["dataset.targets=[price]", "modalities=[tabular]", "dataset.val_fraction=0"]
    assert run("mode=multitask", *options)["baselines"] == {}
    assert WITHOUT_VAL in Path("run", "log.txt").read_text()


@pytest.mark.parametrize("switch", ["references=false", "baselines=false"])
def test_references_are_left_out(switch: str) -> None:
    choice = [*QUICK, "mode=multitask", "dataset.targets=[label]", switch]
    settings = RunSettings.parse(checked(choice).config)
    assembly: Any = SimpleNamespace(settings=settings)  # no data is looked at
    found = make_references(assembly, lambda: False, NullRecorder())
    assert found.to_json() == {}
    comparison = Comparison({}, None)
    assert found.compared(comparison, {"label": {"accuracy": 0.5}}, ()) is comparison
