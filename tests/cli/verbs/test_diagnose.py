"""``jlrun diagnose`` on a real run, and what a diagnosed run writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jlrun.cli.main import main

TINY = [
    *("mode=multitask", "epochs=2", "dataset.limit=128", "baselines=false", "backbone/image=mlp"),
    *("engine.threads=1", "recorder.progress=none"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnosed") / "run"
    what = ["diagnosis.every=2", "diagnosis.affinity=true", "weighting=uncertainty"]
    assert main([*TINY, *what, "recorder.log_every=1", f"hydra.run.dir={folder}"]) == 0
    return folder


def test_a_diagnosed_run_draws_and_tells_what_it_measured(run: Path) -> None:
    for name in ("gradient_cosines", "weights"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 0
    told = json.loads((run / "result.json").read_text())["diagnosis"]
    assert set(told["cosine"]) == set(told["against_update"]) == {"digit", "parity"}
    assert set(told["affinity"]["digit"]) == {"digit", "parity"}
    events = EventAccumulator(str(run / "tb")).Reload()
    assert {"gradient_cosines", "weights"} <= set(events.Tags()["images"])
    tags = {"gradient/cosine/digit-parity", "gradient/descent/parity", "affinity/digit/parity"}
    assert tags <= set(events.Tags()["scalars"])


def test_it_prints_and_writes_who_helps_whom(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    output = tmp_path / "found.json"
    capsys.readouterr()
    options = ["--batches", "3", "--lr", "0.01", "--output", str(output), "engine.device=cpu"]
    assert main(["diagnose", str(run), *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    found = json.loads(output.read_text())
    assert (found["batches"], found["lr"], found["tasks"]) == (3, 0.01, ["digit", "parity"])
    for task in found["tasks"]:
        assert found["affinity"][task][task] > 0  # a small step on a task lowers its own loss
        assert f"{found['loss'][task]:.3f}" in printed.out
    recorded = json.loads((run / "result.json").read_text())["diagnosis"]["affinity"]
    assert found["affinity_in_training"] == recorded
    lines = printed.out.splitlines()
    assert lines[0] == "3 batches of phase 'train', best weights"
    assert "mean over the training" in printed.out
    assert [line.split(":")[0] for line in lines[-2:]] == ["digit", "parity"]
    assert "by parity (" in lines[-2]
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_it_repeats_itself_and_takes_the_rate_of_the_config(run: Path, tmp_path: Path) -> None:
    found = []
    for name, more in (("a", []), ("b", ["--checkpoint", "last"]), ("c", ["optimizer.lr=0.5"])):
        arguments = ["diagnose", str(run), "--batches", "1", *more]
        assert main([*arguments, "--output", str(tmp_path / name)]) == 0
        found.append(json.loads((tmp_path / name).read_text()))
    # The last checkpoint of a complete run holds the selected weights.
    assert found[1] == {**found[0], "checkpoint": "last"}
    assert (found[0]["lr"], found[2]["lr"]) == (1e-3, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: there is no run here: config.yaml is missing"),
        (["RUN", "--batches", "0"], "--batches: 0 is too small: at least 1"),
        (["RUN", "--lr", "-1"], "--lr: -1 is no step: more than 0"),
        (["RUN", "--checkpoint", "first"], "invalid choice: 'first'"),
        (["RUN", "optimizer.rl=1"], "optimizer.rl: there is no such key"),
        (
            ["RUN", "tasks=[digit]"],
            "phase 'train' learns one task, 'digit': there is no other to compare it with",
        ),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", *(str(run) if a == "RUN" else a for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_run_without_a_checkpoint_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config.yaml", "overrides.yaml"):
        (tmp_path / name).write_text((run / name).read_text())
    assert main(["diagnose", str(tmp_path)]) == 2
    assert "there is no such checkpoint" in capsys.readouterr().err


def test_affinity_needs_an_interval(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode=multitask", "diagnosis.affinity=true"]) == 2
    assert capsys.readouterr().err == (
        "jlrun: diagnosis.affinity: true needs an interval: set diagnosis.every, the steps between "
        "two measurements\n"
    )
