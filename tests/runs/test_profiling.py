"""`debug=profile`: shares that add up, a trace that opens, and advice by what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from jlrun.config import checked
from jlrun.runs.execution import execute
from jlrun.runs.profiling import Facts, advice, break_even

FACTS = Facts(
    shares={},
    device="cpu",
    precision="fp32",
    threads=2,
    cpus=2,
    workers=0,
    batch_size=64,
    bytes_to_hold=0,
    evaluation_batch=512,
    val_rows=10_000,
    log_every=10,
    compiled=False,
    reuse_memory="small",
    handed_out=0.0,
    of_system=0.0,
)


@pytest.mark.parametrize(
    ("facts", "overrides"),
    [
        ({"shares": {"forward": 0.3, "backward": 0.19}}, []),
        ({"shares": {"forward": 0.3, "backward": 0.6}}, ["engine.compile=true"]),
        ({"shares": {"backward": 0.9}, "threads": 1, "compiled": True}, ["engine.threads=2"]),
        (
            {"shares": {"backward": 0.9}, "device": "cuda", "compiled": True},
            ["engine.precision=bf16"],
        ),
        (
            {"shares": {"data": 0.5}, "bytes_to_hold": 5 * 2**20 + 1},
            ["engine.memory_budget=6MB", "engine.workers=2"],
        ),
        ({"shares": {"data": 0.5}}, []),
        (
            {"shares": {"recording": 0.1, "evaluation": 0.4}},
            ["engine.evaluation_batch=10000", "recorder.log_every=100"],
        ),
        ({"shares": {"optimizer": 0.2, "the rest": 0.2}}, ["batch_size=256"]),
        ({"shares": {"weighting": 0.3}}, ["weighting.update_every=10"]),
        ({"handed_out": 9e8, "of_system": 0.3}, ["engine.reuse_memory=all"]),
        ({"handed_out": 9e8, "of_system": 0.01}, []),
        ({"handed_out": 9e8, "of_system": 0.3, "reuse_memory": "all"}, []),
    ],
)
def test_advice_is_for_what_takes_the_time(facts: dict, overrides: list[str]) -> None:
    assert [line.split(":")[0] for line in advice(replace(FACTS, **facts))] == overrides


def test_compiling_pays_after_what_it_took_over_what_it_saves() -> None:
    assert break_even(31.0, 5, 0.2, 0.3).endswith("compiling took 30 s and pays after 300 steps")
    assert "does not pay" in break_even(31.0, 5, 0.3, 0.2)


def test_a_profiled_run_says_where_its_time_went(tmp_path: Path, capfd) -> None:
    run = tmp_path / "run"
    overrides = ("mode=multitask", "dataset=digits", "dataset.limit=300", "epochs=4", "seed=3")
    fast = ("backbone/image=mlp", "baselines=false", "batch_size=32", "recorder.figures=false")
    plain = execute(checked([*overrides, *fast, f"hydra.run.dir={tmp_path / 'plain'}"]))
    found = execute(checked([*overrides, *fast, "debug=profile", f"hydra.run.dir={run}"]))
    assert found.test == plain.test  # looking changes nothing
    shown, _ = capfd.readouterr()
    shares = [float(share) for share in re.findall(r"^ +([\d.]+)% +[\d.]+ ms", shown, re.M)]
    assert len(shares) >= 7
    assert sum(shares) == pytest.approx(100, abs=1)
    events = json.loads((run / "profile" / "trace.json").read_text())["traceEvents"]
    steps = [event for event in events if event.get("name") == "jlrun: forward"]
    assert len(steps) == 5
    assert any(event.get("name") == "aten::addmm" for event in events)


def test_a_run_of_few_steps_says_that_it_is_too_short(tmp_path: Path, capfd) -> None:
    overrides = ("mode=multitask", "dataset=digits", "dataset.limit=300", "epochs=1")
    fast = ("backbone/image=mlp", "baselines=false", "debug=profile", "recorder.figures=false")
    execute(checked([*overrides, *fast, f"hydra.run.dir={tmp_path}"]))
    assert "use more epochs" in capfd.readouterr().out
