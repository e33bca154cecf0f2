"""A balance in a run: rows held out, what is refused, and the command as a user types it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jlrun.cli.main import main
from jlrun.config.check import checked
from jlrun.errors import UserError
from jlrun.strategies.plans import with_held_out
from jlrun.training.plan import Comparison, Fit, Plan
from tests.objective.balance.small import MODALITIES, TASKS, phase, rows, stream

QUICK = [
    *("mode=multimodal", "modalities=[image,audio]", "dataset.limit=120", "epochs=2"),
    *("recorder.progress=none", "recorder.figures=false", "engine.threads=1"),
]


def plan() -> Plan:
    heads = {spec.name: spec for spec in TASKS}
    both = Fit("main", MODALITIES, heads, (phase(),), phase().objectives)
    alone = replace(both, name="x", modalities=("x",))
    return Plan((both, alone), {}, {}, lambda scores: Comparison({}, None))


def test_held_out_rows_are_training_rows_that_are_not_trained_on() -> None:
    divided = with_held_out(plan(), 0.25)
    (main_phase,) = divided.fits[0].phases
    held, rest = main_phase.held["dataset"], main_phase.train["dataset"]
    assert (len(held.rows), len(rest.rows)) == (8, 24)
    both = torch.cat([next(iter(s.sweep(32))).inputs["x"] for s in (held, rest)])
    everything = rows().fetch(torch.arange(32)).inputs["x"]
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, everything.tolist()))
    again = with_held_out(plan(), 0.25).fits[0].phases[0].held["dataset"]
    assert torch.equal(next(again.sweep(8)).inputs["x"], next(held.sweep(8)).inputs["x"])


def test_models_of_one_modality_train_on_all_rows() -> None:
    (alone,) = with_held_out(plan(), 0.25).fits[1].phases
    assert len(alone.train["dataset"].rows) == 32


def test_a_share_of_zero_holds_nothing_out() -> None:
    given = plan()
    for fit, before in zip(with_held_out(given, 0.0).fits, given.fits, strict=True):
        assert fit.phases == before.phases
        assert len(fit.phases[0].train["dataset"].rows) == 32


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_both_parts_have_a_row(share: float) -> None:
    rest, held = stream(4, batch_size=2).divide(share)
    assert min(len(rest.rows), len(held.rows)) == 1
    single = rest if len(rest.rows) == 1 else held
    with pytest.raises(UserError, match="1 training rows"):
        single.divide(share)


@pytest.mark.parametrize(
    ("overrides", "where", "said"),
    [
        (["modalities=[image]", "fusion=none", "balance=ogm_ge"], "balance", "one modality, image"),
        (["balance=ogm_ge", "balance.alpha=abc"], "balance.alpha", "not a number"),
        (["balance=ogm_ge", "balance.alpha=-1"], "balance.alpha", "too small"),
        (["balance=gradient_blend", "balance.held_out=1.0"], "balance.held_out", "too large"),
        (["balance=ogmge"], "balance", "Did you mean 'ogm_ge'?"),
        (["balance=uniform", "balance.gamma=2"], "balance.gamma", "balance=mmpareto does"),
        (
            ["balance=mmpareto", "balance.weighting._target_=jlrun.objective.weightings.Cagrad"],
            "balance.weighting._target_",
            "does not exist",
        ),
        (
            ["balance=mmpareto", "balance.weighting._target_=jlrun.models.fusions.Concat"],
            "balance.weighting._target_",
            "is not a weighting of gradients",
        ),
        (["balance=mmpareto", "+balance.weighting.c=1"], "balance.weighting.c", "takes no 'c'"),
    ],
)
def test_mistakes_are_told_before_any_work(overrides: list[str], where: str, said: str) -> None:
    mode = "multitask" if "fusion=none" in overrides else "multimodal"
    with pytest.raises(UserError) as found:
        checked([f"mode={mode}", "dataset=digits_dtmf", *overrides])
    told = {problem.where: problem.message for problem in found.value.problems}
    assert any(key.startswith(where) and said in message for key, message in told.items()), told


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["balance=mmpareto", "weighting=pcgrad"], "weighting=equal"),
        (
            ["balance=mmpareto", "balance.weighting._target_=jlrun.objective.weightings.Equal"],
            "'jlrun.objective.weightings.Equal' is not a weighting of gradients",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(
    overrides: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*QUICK, *overrides, f"hydra.run.dir={folder}"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not folder.exists()


def test_a_run_records_what_the_balance_does(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    chosen = ["balance=mmpareto", "balance.weighting._target_=jlrun.objective.weightings.CAGrad"]
    extra = ["+balance.weighting.c=0.4", "terms=[feature_l2]", "engine.accumulate=2"]
    assert main([*QUICK, *chosen, *extra, f"hydra.run.dir={folder}"]) == 0
    with (folder / "metrics.csv").open() as file:
        tags = {(row["fit"], row["tag"]) for row in csv.DictReader(file)}
    for modality in ("image", "audio"):
        assert ("main", f"balance/{modality}") in tags
        assert ("main", f"balance/{modality}/cosine") in tags
        assert ("main", f"balance/{modality}/digit/loss") in tags
    assert not any(tag.startswith("balance/") for fit, tag in tags if fit != "main")
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "completed"
    assert set(result["baselines"]) == {"image", "audio", "ensemble"}
