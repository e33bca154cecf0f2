"""Each mode as a user types it: what it writes is what the contracts say."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jlrun
from jlrun.cli.main import main
from jlrun.errors import UserError
from jlrun.tasks import Binary
from tests.toy import TIMED

QUICK = ["engine.threads=1", "recorder.log_every=4", "recorder.progress=none"]
QUICK += ["backbone.image.channels=[4,8]", "backbone.image.hidden=16"]
RUNS = {
    "transfer": ["epochs=3", "pretrain_epochs=1", "source.per_class=30"],
    "multitask": ["epochs=2", "dataset.limit=200", "weighting=pcgrad", "terms=[l2]"],
    "multimodal": ["epochs=2", "dataset.limit=200"],
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "run"
    code = main([f"mode={request.param}", *RUNS[request.param], *QUICK, f"hydra.run.dir={folder}"])
    assert code == 0
    return folder


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_the_run_directory_is_complete(run: Path) -> None:
    for name in (
        "config.yaml",
        "overrides.yaml",
        "result.json",
        "metrics.csv",
        "environment.json",
        "log.txt",
        "checkpoints/best/model.safetensors",
        "checkpoints/last/state.pt",
        "figures/curves.png",
        "figures/samples_predictions.png",
        "figures/confusion_digit.png",
    ):
        assert (run / name).stat().st_size > 0, name
    assert len(list((run / "tb").rglob("*tfevents*"))) == 1


def test_result_json_keeps_its_contract(run: Path) -> None:
    result = result_of(run)
    assert (result["schema"], result["status"], result["error"]) == (1, "completed", None)
    assert set(result["test"]) == set(result["val"]) == {"digit", "parity"}
    for scores in result["test"].values():
        assert 0 <= scores["accuracy"] <= 1
        assert scores["loss"] > 0
    assert result["objective"]["name"] == "val/mean_score"
    mean = np.mean([result["val"][task]["accuracy"] for task in ("digit", "parity")])
    assert result["objective"]["value"] == pytest.approx(mean)
    assert set(result["selected"]) == {"phase", "epoch", "step", "by"}
    assert result["model"]["parameters"] >= result["model"]["trainable"] > 0
    assert result["cost"]["steps"] > 0
    names = {
        "transfer": {"scratch", "source_only"},
        "multitask": {"single_task"},
        "multimodal": {"image", "audio", "ensemble"},
    }
    assert set(result["baselines"]) == names[result["mode"]]
    assert set(result["gain"]["per_task"]) == {"digit", "parity"}
    assert ("source" in result) == (result["mode"] == "transfer")


def test_the_gain_follows_from_the_scores(run: Path) -> None:
    result = result_of(run)
    baseline = result["baselines"][result["gain"]["against"]]
    for task, percent in result["gain"]["per_task"].items():
        ours, theirs = result["test"][task]["accuracy"], baseline[task]["accuracy"]
        assert percent == pytest.approx(100 * (ours - theirs) / theirs)


def test_tensorboard_and_csv_hold_the_same_curves(run: Path) -> None:
    events = EventAccumulator(str(run / "tb"), size_guidance={"scalars": 0}).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/total_loss", "train/lr/body", "train/grad_norm", "weight/digit"} <= tags
    assert {"val/digit/accuracy", "test/digit/accuracy", *TIMED} <= tags
    assert any(tag.startswith("baselines/") for tag in tags)
    if result_of(run)["mode"] == "multitask":
        assert {"gradient/cosine/digit-parity", "gradient/norm/digit", "train/l2/loss"} <= tags
    with (run / "metrics.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["tag"] == "val/digit/accuracy"]
    found = [float(row["value"]) for row in rows if row["fit"] == "main"]
    curve = [event.value for event in events.Scalars("val/digit/accuracy")]
    assert curve == pytest.approx(found)


def test_evaluate_finds_the_scores_of_the_run(run: Path, tmp_path: Path) -> None:
    assert main(["evaluate", str(run), "--output", str(tmp_path / "scores.json")]) == 0
    scores, result = json.loads((tmp_path / "scores.json").read_text()), result_of(run)
    for split in ("val", "test"):
        for task in ("digit", "parity"):
            assert scores[split][task] == pytest.approx(result[split][task])


def test_predict_writes_a_row_per_input(run: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "rows.npz", image=images)
    arguments = ["--input", str(tmp_path / "rows.npz"), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", str(run), *arguments]) == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert all(row["digit"] in "0123456789" and row["parity"] in ("even", "odd") for row in rows)
    assert all(0 < float(row["digit_probability"]) <= 1 for row in rows)


def test_a_complete_run_is_neither_resumed_nor_overwritten(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "result.json").read_bytes()
    assert main(["resume", str(run)]) == 2
    assert "complete" in capsys.readouterr().err
    assert main(["mode=multitask", f"hydra.run.dir={run}"]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (run / "result.json").read_bytes() == before


def test_a_run_streamed_from_workers_gives_the_numbers_of_one_in_memory(tmp_path: Path) -> None:
    arguments = ["mode=multitask", "epochs=2", "dataset.limit=200", "baselines=false", *QUICK]
    arguments.append("recorder.figures=false")
    streamed = ["engine.memory_budget=1KB", "engine.workers=1"]
    for name, more in (("memory", []), ("streamed", streamed)):
        assert main([*arguments, *more, f"hydra.run.dir={tmp_path / name}"]) == 0
    first, second = result_of(tmp_path / "memory"), result_of(tmp_path / "streamed")
    assert (first["test"], first["val"]) == (second["test"], second["val"])


def test_the_python_api_returns_the_result_and_leaves_no_state_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    result = jlrun.run(["mode=multitask", "epochs=1", "baselines=false", *QUICK])
    assert result.status == "completed"
    assert result.test["digit"]["accuracy"] > 0.1
    assert result.path.is_relative_to(tmp_path / "outputs" / "multitask")
    assert (torch.rand(1), random.random(), np.random.rand()) == expected  # noqa: NPY002
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert torch.utils.deterministic.fill_uninitialized_memory == fills


def test_the_python_api_tells_all_problems_at_once() -> None:
    with pytest.raises(UserError) as caught:
        jlrun.run(["mode=multitask", "epochs=0", "optimizer.lr=abc"])
    assert {problem.where for problem in caught.value.problems} == {"epochs", "optimizer.lr"}


def test_one_class_is_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["mode=multitask", "dataset.classes=[3]", f"hydra.run.dir={tmp_path / 'run'}"]
    assert main([*arguments, *QUICK]) == 2
    assert "at least two classes are needed" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"]])
def test_a_binary_task_has_two_classes(labels: list[str]) -> None:
    def load() -> tuple[torch.Tensor, list[str]]:
        return torch.rand(30, 1, 8, 8), (labels * 30)[:30]

    dataset = {"_target_": load, "tasks": {"kind": Binary}, "modalities": ["image"]}
    with pytest.raises(UserError, match="kind"):
        jlrun.run(["mode=multitask"], dataset=dataset)


def test_static_weights_may_be_those_of_one_phase(tmp_path: Path) -> None:
    arguments = ["mode=transfer", "strategy=joint", "epochs=1", "source.per_class=30"]
    weights = [
        "weighting=static",
        "weighting.weights={source.digit: 0.5}",
        "recorder.figures=false",
    ]
    assert main([*arguments, *weights, *QUICK, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
