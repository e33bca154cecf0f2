"""Weights and answers of runs that know an unseen class are refused, wherever they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jlrun.cli.main import main
from jlrun.errors import UserError
from jlrun.strategies.zero_shot import ClassSplit
from jlrun.strategies.zero_shot.leakage import check_leakage

SPLIT = ClassSplit(("0", "1", "2", "3"), seen=(0, 1, 2), unseen=(3,))
WHERE = "source.run"
REFUSED = r"source\.run: .* has learned 3, which zero_shot\.unseen"


def described(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    heads = {"a": {"classes": ["x"]}, "b": {"classes": ["2", "3"]}}
    (folder / "model.json").write_text(json.dumps({"heads": heads, **content}))
    return folder


def test_what_tells_nothing_is_left_to_others(tmp_path: Path) -> None:
    check_leakage(tmp_path, SPLIT, WHERE)
    check_leakage(tmp_path / "nowhere", SPLIT, WHERE)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    check_leakage(tmp_path / "weights.safetensors", SPLIT, WHERE)


@pytest.mark.parametrize(
    "part", ["", "checkpoints/best", "checkpoints/best/model.safetensors", "checkpoints/last"]
)
def test_a_run_and_what_is_in_it(part: str, tmp_path: Path) -> None:
    run = described(tmp_path / "run")
    path = run / part
    if path.suffix:
        path.parent.mkdir(parents=True)
        save_file({"w": torch.zeros(1)}, path)
    else:
        path.mkdir(parents=True, exist_ok=True)
    with pytest.raises(UserError, match=REFUSED):
        check_leakage(path, SPLIT, WHERE)


def test_what_was_unseen_there_does_not_count(tmp_path: Path) -> None:
    run = described(tmp_path)
    (run / "result.json").write_text(
        json.dumps({"status": "completed", "zero_shot": {"unseen_classes": ["3"]}})
    )
    check_leakage(run, SPLIT, WHERE)


@pytest.mark.parametrize(("learned", "fine"), [(["2", "3"], False), (["2"], True)])
def test_an_export_says_what_it_has_learned(learned: list[str], fine: bool, tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    metadata = {"jlrun": json.dumps({"learned_classes": learned})}
    save_file({"w": torch.zeros(1)}, file, metadata=metadata)
    folder = described(tmp_path / "export", learned_classes=learned)
    for path in (file, folder):
        if fine:
            check_leakage(path, SPLIT, WHERE)
        else:
            with pytest.raises(UserError, match=REFUSED):
                check_leakage(path, SPLIT, WHERE)


QUICK = ["engine.threads=1", "recorder.progress=none", "recorder.tensorboard=false", "epochs=1"]
SMALL = ["backbone.image.channels=[4]", "backbone.image.hidden=8", "recorder.figures=false"]


def test_every_way_in_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    taught = ["mode=multitask", "dataset=digits", "dataset.limit=100", "tasks=[digit]"]
    assert main([*taught, *QUICK, *SMALL, "baselines=false", "hydra.run.dir=run"]) == 0
    assert main(["export", "run", "--output", "file.safetensors", "--encoder", "image"]) == 0
    capsys.readouterr()
    zero_shot = ["strategy=zero_shot", "zero_shot.unseen=[3]", *QUICK, *SMALL]
    ways = {
        "source.run": ["source.run=run"],
        "source.weights": ["source.weights=run/checkpoints/best"],
        "source.weights of an export": ["source.weights=file.safetensors"],
        "terms.distill.run": ["terms=[distill]", "terms.distill.run=run"],
        "backbone.image.weights": ["backbone/image=resnet18", "backbone.image.weights=run"],
    }
    for way, overrides in ways.items():
        kept = zero_shot if "backbone" not in way else [o for o in zero_shot if "backb" not in o]
        assert main([*kept, *overrides]) == 2, way
        told = capsys.readouterr().err
        assert told.startswith(f"jlrun: {way.partition(' ')[0]}: ")
        assert "has learned 3, which zero_shot.unseen lists as unseen" in told
