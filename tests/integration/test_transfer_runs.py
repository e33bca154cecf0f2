"""Strategies, fine-tuning, self-supervision and weights from elsewhere, as a user types them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from jlrun.cli.main import main
from jlrun.data.rows import TensorRows
from jlrun.data.splits import Splits, make_splits
from jlrun.data.view import View
from jlrun.models.lora import is_lora_parameter
from jlrun.runs import datasets as feeds

QUICK = [
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
    "recorder.figures=false",
]
ONE = ["source.per_class=30", "backbone.image.hidden=32"]
PRINTED = ["sources.printed_digits.per_class=30", "backbone.image.hidden=32"]
TWO = ["sources=[printed_digits,digits]", *PRINTED, "sources.digits.limit=100"]


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, *QUICK, f"hydra.run.dir={folder}"]) == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "completed"
    for scores in (result["test"], result["val"]):
        assert scores
        assert all(math.isfinite(s["loss"]) and 0 <= s["accuracy"] <= 1 for s in scores.values())
    return result


def weights(folder: Path, name: str = "best") -> dict[str, Tensor]:
    return load_file(folder / "checkpoints" / name / "model.safetensors")


def recorded(folder: Path, tag: str) -> list[str]:
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line for line in lines if f",{tag}," in line]


def test_adaptation_from_two_sources(tmp_path: Path) -> None:
    terms = ["terms=[mcc,dann]", "terms.dann.hidden=16", "lambda_ramp=linear", "ema=0.9"]
    result = run(
        tmp_path,
        "strategy=adapt",
        *TWO,
        *terms,
        "source_weights={digits: 0.5}",
        "epochs=2",
        "pretrain_epochs=1",
        "target.limit=200",
    )
    assert result["objective"]["name"] == "validator/information_maximization"
    assert result["selected"]["phase"] == "adapt"
    assert set(result["baselines"]) == {"source_only", "target_supervised"}
    assert set(result["test"]) == set(result["last"]) == set(result["oracle"])
    assert set(result["source"]) >= {"digit", "parity"}
    assert result["gain"]["against"] == "source_only"
    for name in ("snd", "entropy", "bnm", "source_accuracy", "information_maximization"):
        assert len(recorded(tmp_path, f"validator/{name}")) == 2
    assert len(recorded(tmp_path, "oracle/digit/accuracy")) == 2
    assert recorded(tmp_path, "train/mcc/loss")


def test_a_validator_of_the_user_s_choice_selects(tmp_path: Path) -> None:
    small = ["strategy=adapt", *ONE, "epochs=2", "target.limit=100", "baselines=false"]
    result = run(
        tmp_path, *small, "validator=source_accuracy", "adapt.oracle=false", "terms=[coral]"
    )
    assert result["objective"]["name"] == "validator/source_accuracy"
    assert "oracle" not in result


def test_generalisation_and_its_baselines(tmp_path: Path) -> None:
    result = run(tmp_path, "strategy=generalize", *TWO, "terms=[irm]", "epochs=1")
    assert result["selected"]["phase"] == "generalize"
    assert set(result["baselines"]) == {"source_only", "target_supervised"}
    assert result["objective"]["name"] == "val/mean_score"
    assert set(result["val"]) == {
        f"{source}.{task}"
        for source in ("printed_digits", "digits")
        for task in ("digit", "parity")
    }


def test_joint_training_with_two_sources(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        "strategy=joint",
        *TWO,
        "epochs=1",
        "source_weights={printed_digits: 0.1}",
        "lambda_ramp=linear",
    )
    assert set(result["baselines"]) == {"scratch"}
    assert set(result["test"]) == {"digit", "parity"}


def phases(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir() if path.is_dir())


FINETUNE = {
    "full": ["finetune=full", "finetune.layer_decay=0.5", "finetune.batch_norm=freeze"],
    "head": ["finetune=head"],
    "lora": ["finetune=lora", "finetune.rank=2"],
    "lp_ft": ["finetune=lp_ft"],
    "gradual": ["finetune=gradual", "finetune.phases=2"],
    "surgical": ["finetune=surgical", "finetune.parameters=convolutions"],
}


@pytest.mark.parametrize("option", FINETUNE)
def test_ways_of_fine_tuning(option: str, tmp_path: Path) -> None:
    """With each, `jlrun evaluate` finds the run's own scores, and only what should moves."""
    small = [*ONE, "pretrain_epochs=1", "epochs=2", "baselines=false"]
    result = run(tmp_path, *small, *FINETUNE[option])
    before, after = weights(tmp_path, "pretrain"), weights(tmp_path)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    body = {name for name in moved if name.startswith("body.")}
    checks: dict[str, Callable[[], bool]] = {
        "full": lambda: len(body) == sum(name.startswith("body.") for name in after),
        "head": lambda: body == set(),
        "lora": lambda: body == {name for name in after if is_lora_parameter(name)} != set(),
        "lp_ft": lambda: "probe" in phases(tmp_path),
        "gradual": lambda: "unfreeze_0" in phases(tmp_path),
        "surgical": lambda: all("convolutions" in name for name in body) and bool(body),
    }
    assert checks[option]()
    assert any(name.startswith("heads.") for name in moved)
    assert main(["evaluate", str(tmp_path), "--output", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    for task, metrics in result["test"].items():
        assert scores["test"][task] == pytest.approx(metrics)


def test_predictions_of_a_run_with_adapters(tmp_path: Path) -> None:
    run(tmp_path, *ONE, "pretrain_epochs=1", "epochs=1", "baselines=false", "finetune=lora")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "rows.npz", image=images)
    arguments = ["--input", str(tmp_path / "rows.npz"), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", str(tmp_path), *arguments]) == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4


def test_the_curve_of_weights_between(tmp_path: Path) -> None:
    small = [*ONE, "pretrain_epochs=1", "epochs=1", "baselines=false"]
    result = run(tmp_path, *small, "finetune.wise_ft=true")
    curve = result["wise_ft"]
    assert [point["alpha"] for point in curve] == [0, 0.25, 0.5, 0.75, 1]
    assert sum(point["selected"] for point in curve) == 1
    for task, metrics in result["test"].items():
        assert curve[-1]["test"][task] == pytest.approx(metrics)
    for task, metrics in result["source"].items():
        assert curve[-1]["source"][f"source.{task}"] == pytest.approx(metrics)


SIMCLR = [
    "mode=multitask",
    "dataset.limit=100",
    "terms=[simclr]",
    "terms.simclr.hidden=8",
    "pretraining.views.flip=0",
    "backbone.image.hidden=32",
]


def test_self_supervision_before_several_tasks(tmp_path: Path) -> None:
    result = run(tmp_path, *SIMCLR, "epochs=1", "pretraining.epochs=1")
    assert "self_supervised" in phases(tmp_path)
    assert set(result["baselines"]) == {"single_task"}
    assert recorded(tmp_path, "representation/dataset/knn_accuracy")
    assert recorded(tmp_path, "train/simclr/loss")


def test_self_supervision_beside_the_tasks(tmp_path: Path) -> None:
    run(tmp_path, *SIMCLR, "epochs=1", "pretraining.epochs=0", "baselines=false")
    assert phases(tmp_path) == ["best", "last"]
    assert any(",train,1," in line for line in recorded(tmp_path, "train/simclr/loss"))


def test_self_supervision_on_the_target_alone_before_transfer(tmp_path: Path) -> None:
    simclr = [text for text in SIMCLR if text.startswith(("terms", "pretraining", "backbone"))]
    small = ["source.per_class=30", "pretrain_epochs=1", "epochs=1", "baselines=false"]
    run(tmp_path, *small, *simclr, "pretraining.epochs=1", "pretraining.data=[target]")
    assert {"pretrain", "self_supervised"} <= set(phases(tmp_path))
    assert recorded(tmp_path, "representation/target/knn_accuracy")
    assert not recorded(tmp_path, "representation/source/knn_accuracy")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose weights others begin with."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    small = ["mode=multitask", "dataset=digits", "dataset.limit=200", "backbone.image.hidden=32"]
    run(folder, *small, "epochs=1", "baselines=false")
    return folder


def test_a_run_takes_the_place_of_the_source(learned: Path, tmp_path: Path) -> None:
    start = [f"source.run={learned}", "backbone.image.hidden=32", "terms=[l2_sp]"]
    result = run(tmp_path, *start, "epochs=1", "baselines=false", "optimizer.lr=1e-12")
    assert result["start"]["loaded"] == len(weights(learned))
    assert result["start"]["not_loaded"] == []
    assert phases(tmp_path) == ["best", "last"]
    for name, tensor in weights(tmp_path).items():
        torch.testing.assert_close(tensor, weights(learned)[name], msg=name)
    assert recorded(tmp_path, "train/l2_sp/loss"), "the weights were learned"


def test_joint_training_begins_with_a_run(learned: Path, tmp_path: Path) -> None:
    small = ["strategy=joint", "sources=[printed_digits]", *PRINTED, "epochs=1", "baselines=false"]
    start = f"source.run={learned}"
    result = run(tmp_path, *small, start, "optimizer.lr=1e-12")
    assert result["start"]["loaded"] == len(weights(learned))
    for name, tensor in weights(tmp_path).items():
        torch.testing.assert_close(tensor, weights(learned)[name], msg=name)


def test_weights_of_a_file_for_another_model_are_told(learned: Path, tmp_path: Path) -> None:
    file = learned / "checkpoints" / "best" / "model.safetensors"
    small = ["backbone.image.hidden=32", "epochs=1", "baselines=false"]
    result = run(
        tmp_path, f"source.weights={file}", *small, "target.classes=[1,2,3]", "batch_size=8"
    )
    assert set(result["start"]["skipped"]) == {
        "heads.digit.weight",
        "heads.digit.bias",
    }
    log = (tmp_path / "log.txt").read_text()
    assert "heads.digit" in log
    assert f"source.weights: {file}" in log


def corrupted(splits: Splits) -> Splits:
    """The same rows with labels of others in training and validation."""

    def wrong(view: View) -> View:
        turned = {name: y.roll(7) for name, y in view.targets.items()}
        inputs = view.fetch(torch.arange(len(view))).inputs
        return View.of_all(TensorRows(dict(inputs), turned))

    train, val, pool = (wrong(view) for view in (splits.train, splits.val, splits.pool))
    return Splits(train, val, splits.test, pool, splits.modalities, splits.classes)


@pytest.mark.parametrize("strategy", ["adapt", "generalize"])
def test_no_label_of_the_target_is_looked_at(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by training, nor by selection, nor by self-supervision before."""
    terms = "terms=[mcc,simclr]" if strategy == "adapt" else "terms=[simclr]"
    small = [f"strategy={strategy}", *ONE, terms, "terms.simclr.hidden=8", "pretraining.epochs=1"]

    def load(*arguments: Any, **keywords: Any) -> Splits:
        found = make_splits(*arguments, **keywords)
        return corrupted(found) if keywords["where"] == "target" else found

    found = []
    for name in ("right", "wrong"):
        if name == "wrong":
            monkeypatch.setattr(feeds, "make_splits", load)
        result = run(tmp_path / name, *small, "epochs=1", "target.limit=100", "baselines=false")
        found.append((result["selected"], result["val"], result["test"], result["oracle"]))
    assert found[0] == found[1]
    for checkpoint in ("best", "last", "self_supervised"):
        one, two = (weights(tmp_path / name, checkpoint) for name in ("right", "wrong"))
        assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())


def test_adaptation_prints_what_it_selected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["strategy=adapt", *ONE, "epochs=1", "terms=[mcc]", "baselines=false"]
    plain = [text for text in QUICK if "progress" not in text]
    assert main([*small, *plain, f"hydra.run.dir={tmp_path}"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for line in ("adapt, epoch 1", "information_maximization", "best on the test itself"):
        assert line in printed.out, line
