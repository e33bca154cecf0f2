"""Leave-one-domain-out as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jlrun.cli.main import main

QUICK = ["engine.threads=1", "recorder.figures=false", "recorder.tensorboard=false"]
SMALL = ["epochs=1", "baselines=false", "batch_size=24", "backbone/image=mlp"]
FEW = ["sources.printed_digits.per_class=10", "tasks=[digit]"]


def test_a_run_is_compared_by_sources_that_it_was_trained_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    what = ["strategy=generalize", "sources=[printed_digits,digits_few]", *FEW, *SMALL, *QUICK]
    common = [*what, "adapt.leave_one_out=true", "recorder.progress=plain"]
    assert main([*common, f"hydra.run.dir={run}"]) == 0
    result = json.loads((run / "result.json").read_text())
    told = result["leave_one_domain_out"]
    sources = ("printed_digits", "digits_few")
    assert set(told) == {*sources, "mean"}
    assert told["mean"] == pytest.approx(sum(told[s]["digit"] for s in sources) / 2)
    assert result["objective"] == {
        "name": "leave_one_domain_out/mean_score",
        "value": told["mean"],
        "direction": "maximize",
    }
    assert result["baselines"] == {}
    # Each was selected by the other source alone, and scored on validation rows.
    for left_out, other in (sources, sources[::-1]):
        folder = run / "baselines" / "left_out" / left_out / "checkpoints"
        fit = json.loads((folder / "fit.json").read_text())
        assert set(fit["val"]) == {f"{other}.digit"}
        assert fit["test"]["digit"]["accuracy"] == told[left_out]["digit"]
    rows = {"printed_digits": 16, "digits_few": 50}  # of their validation splits
    for source, count in rows.items():
        hits = told[source]["digit"] * count
        assert hits == pytest.approx(round(hits), abs=1e-4)
    out = capsys.readouterr().out
    assert f"mean {told['mean']:.3f}" in out
    assert "printed_digits, trained without it: digit" in out
    assert "selected  generalize, epoch 1\n" in out
