"""``jlrun compare``: differences of configs, and of scores over the same test rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from jlrun.cli.main import main
from jlrun.evaluation.kept_predictions import save_predictions
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.comparing.configs import config_differences
from jlrun.runs.comparing.paired import paired_differences
from tests.runs.written_runs import write_run

EQUAL, PCGRAD = "jlrun.objective.weightings.Equal", "jlrun.objective.weightings.PCGrad"
ROWS = 400


def with_predictions(run: Path, right: torch.Tensor, target: torch.Tensor) -> Path:
    """Keep predictions of a binary task that are right where ``right`` is."""
    kind = {"_target_": "jlrun.tasks.Binary", "metric": None, "loss": None}
    heads = {"digit": {"task": "digit", "kind": kind, "classes": ["0", "1"], "units": [0.0, 1.0]}}
    content = {"modalities": {}, "heads": heads, "scored": ["digit"]}
    (run / "model.json").write_text(json.dumps(content))
    said = 0.1 + 0.8 * torch.where(right, target, 1 - target).double()
    (run / "checkpoints").mkdir()
    predictions = {"digit": RowPredictions(torch.stack([1 - said, said], 1), target)}
    save_predictions(run / "checkpoints", predictions)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs: the second is right in 40 rows more, the third has other test rows."""
    folder, generator = tmp_path_factory.mktemp("runs"), torch.Generator().manual_seed(0)
    target = torch.randint(2, (ROWS,), generator=generator)
    right = torch.arange(ROWS) % 5 != 0
    better = right.clone()
    better[: ROWS // 2] = True
    other = {"weighting": {"_target_": PCGRAD, "more": 1}, "optimizer": {"lr": 0.01}}
    return [
        with_predictions(write_run(folder / "a", 0.8), right, target),
        with_predictions(write_run(folder / "b", 0.9, config=other), better, target),
        with_predictions(write_run(folder / "c", 0.9), right, 1 - target),
    ]


def test_differences_are_paired_as_a_formula_has_it(runs: list[Path]) -> None:
    (found,), reasons = paired_differences(runs)
    # Of 400 rows 40 change from wrong to right, none back: mean 0.1, variance 0.1 · 0.9 / 400.
    error = np.sqrt(0.1 * 0.9 / ROWS)
    width = stats.t.isf(0.025, ROWS - 1) * error
    assert found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1 - width, 0.1 + width), abs=0.1 * width)
    assert (found.run, found.against, found.rows, found.call) == (1, 0, ROWS, "better")
    assert reasons == [f"{runs[2]}, digit: the test rows are not those of the first run"]
    (back,), _ = paired_differences(runs[1::-1])
    assert (back.call, back.difference) == ("worse", pytest.approx(-0.1))
    assert paired_differences([runs[0], runs[0]])[0][0].call == "no difference"


def test_configs_show_only_what_differs() -> None:
    one = {"seed": 0, "weighting": {"_target_": EQUAL}, "recorder": {"rows": True}, "a": {"b": 1}}
    two = {"seed": 0, "weighting": {"_target_": PCGRAD, "x": 3}, "recorder": {}, "a": {"b": [2]}}
    assert config_differences([one, two]) == {"weighting": ["equal", "pcgrad"], "a.b": ["1", "[2]"]}
    # A key that one lacks, with no option that brings it.
    assert config_differences([{"a": None}, {}]) == {"a": ["null", "-"]}
    assert config_differences([one, one]) == {}


def test_the_command_prints_tables_and_draws_curves(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "new" / "compare.png"
    texts = [str(run) for run in runs]
    assert main(["compare", *texts, "--output", str(drawn)]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "weighting equal pcgrad equal" in lines
    assert "digit accuracy  0.800 ± 0.020  0.900 ± 0.020  0.900 ± 0.020" in out
    assert "+12.5 % (+1.0 to +20.0)" in out
    assert any(line.startswith("B - A digit accuracy +0.100") for line in lines)
    with Image.open(drawn) as image:
        assert image.size[0] > 400
    assert main(["compare", *texts[:2], "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["config"]["optimizer.lr"] == ["0.001", "0.01"]
    assert content["differences"][0]["call"] == "better"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "RUN: 1 run; name two at least, and 26 at most"),
        (["nowhere"], "nowhere: there is no run here"),
        (["--output", "x.txt"], "--output: 'x.txt' is not .png"),
    ],
)
def test_what_is_wrong_is_one_line(
    args: list[str], message: str, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(runs[0]), *args]) == 2
    assert capsys.readouterr().err.startswith(f"jlrun: {message}")
