"""Rows of unseen classes are held out, and weights that have learned one are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jlrun.cli.main import main
from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.strata import class_column
from jlrun.errors import UserError
from jlrun.strategies.zero_shot import ClassSplit
from jlrun.strategies.zero_shot.holdout import check_leakage, hold_out

NAMES = ("a", "b", "c", "d")
SPLIT = ClassSplit(NAMES, seen=(0, 1, 2), unseen=(3,))
MODALITIES = {"image": ImageSpec(1, 2, 2, mean=(), std=())}
COLOURS = ClassSplit(("0", "1", "2", "3"), seen=(0, 1, 2), unseen=(3,))
WHERE = "source.run"
REFUSED = r"source\.run: .* has learned 3, which zero_shot\.unseen"
QUICK = ["engine.threads=1", "recorder.progress=none", "recorder.tensorboard=false", "epochs=1"]
SMALL = ["backbone.image.channels=[4]", "backbone.image.hidden=8", "recorder.figures=false"]


def rows(count: int = 80, **columns: torch.Tensor) -> TensorRows:
    label = torch.arange(count) % 4
    # Images of the unseen class are the only bright ones.
    images = torch.where(label == 3, 255, 50).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    labelled: dict[str, Any] = {"label": torch.arange(count) % 10 > 0}
    return TensorRows({"image": images.to(torch.uint8)}, {"label": label, **columns}, {}, labelled)


def dataset(classes: dict[str, tuple[str, ...]] | None = None, **columns: torch.Tensor) -> Dataset:
    return Dataset(
        train=rows(**columns),
        modalities=MODALITIES,
        classes={"label": NAMES, **(classes or {})},
    )


def withheld(data: Dataset, split: ClassSplit = SPLIT) -> Splits:
    splits = make_splits(data, Subset(test_fraction=0.3), seed=0)
    return hold_out(splits, data.modalities, "label", split, "target")


def test_only_the_test_rows_have_unseen_classes() -> None:
    splits = withheld(dataset())
    for view in (splits.train, splits.val, splits.pool):
        assert set(class_column(view, "label").tolist()) == {0, 1, 2}  # none unlabelled either
    assert 3 in class_column(splits.test, "label")
    assert splits.classes["label"] == NAMES


def test_statistics_of_images_know_nothing_of_unseen_classes() -> None:
    spec = withheld(dataset()).modalities["image"]
    assert isinstance(spec, ImageSpec)
    assert spec.mean == pytest.approx((50 / 255,))


def test_test_rows_are_those_of_other_runs() -> None:
    splits = make_splits(dataset(), Subset(test_fraction=0.3), seed=0)
    assert torch.equal(withheld(dataset()).test.indices, splits.test.indices)


def test_another_column_that_names_an_unseen_class_is_refused() -> None:
    second = torch.arange(80) % 3  # x, d, a: a third of the rows show a d as well
    with pytest.raises(
        UserError, match=r"target: the unseen class 'd' of 'label' is in \d+ training rows by their"
    ):
        withheld(dataset({"second": ("x", "d", "a")}, second=second))
    withheld(dataset({"second": ("x", "y", "a")}, second=second))


def test_labels_among_several_that_name_an_unseen_class_are_refused() -> None:
    several = torch.zeros(80, 2)
    several[1::4, 1] = 1.0  # in rows of b
    with pytest.raises(UserError, match="by their 'tags'"):
        withheld(dataset({"tags": ("x", "d")}, tags=several))
    several[:, 1] = 0
    several[3::4, 1] = 1.0  # in rows of d alone, which are left out
    withheld(dataset({"tags": ("x", "d")}, tags=several))


def test_a_seen_class_without_training_rows_is_refused() -> None:
    data = dataset()
    keep = torch.arange(80)[torch.arange(80) % 4 != 2]
    label = torch.arange(80) % 4
    train = TensorRows({"image": torch.zeros(60, 1, 2, 2).to(torch.uint8)}, {"label": label[keep]})
    without_c = Dataset(train, MODALITIES, data.classes, test=rows())
    with pytest.raises(
        UserError, match=r"target: no training row is of c: add to zero_shot.unseen"
    ):
        withheld(without_c)
    other = ClassSplit(NAMES, seen=(0, 1), unseen=(2, 3))
    assert len(withheld(without_c, other).train) > 0


def test_an_unseen_class_without_test_rows_is_refused() -> None:
    test = TensorRows(
        {"image": torch.zeros(3, 1, 2, 2).to(torch.uint8)}, {"label": torch.arange(3)}
    )
    with pytest.raises(UserError, match=r"target: no test row is of an unseen class \(d\)"):
        withheld(Dataset(rows(), MODALITIES, {"label": NAMES}, test=test))


def described(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    heads = {"a": {"classes": ["x"]}, "b": {"classes": ["2", "3"]}}
    (folder / "model.json").write_text(json.dumps({"heads": heads, **content}))
    return folder


def test_what_tells_nothing_is_left_to_others(tmp_path: Path) -> None:
    check_leakage(tmp_path, COLOURS, WHERE)
    check_leakage(tmp_path / "nowhere", COLOURS, WHERE)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    check_leakage(tmp_path / "weights.safetensors", COLOURS, WHERE)


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
        check_leakage(path, COLOURS, WHERE)


def test_what_was_unseen_there_does_not_count(tmp_path: Path) -> None:
    run = described(tmp_path)
    (run / "result.json").write_text(
        json.dumps({"status": "completed", "zero_shot": {"unseen_classes": ["3"]}})
    )
    check_leakage(run, COLOURS, WHERE)


@pytest.mark.parametrize(("learned", "fine"), [(["2", "3"], False), (["2"], True)])
def test_an_export_says_what_it_has_learned(learned: list[str], fine: bool, tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    metadata = {"jlrun": json.dumps({"learned_classes": learned})}
    save_file({"w": torch.zeros(1)}, file, metadata=metadata)
    folder = described(tmp_path / "export", learned_classes=learned)
    for path in (file, folder):
        if fine:
            check_leakage(path, COLOURS, WHERE)
        else:
            with pytest.raises(UserError, match=REFUSED):
                check_leakage(path, COLOURS, WHERE)


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
