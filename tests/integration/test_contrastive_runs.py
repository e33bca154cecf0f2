"""Learning between modalities as a user runs it: scores, figures, and what comes after."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jlrun.cli.main import main
from jlrun.cli.verbs.evaluate import evaluate_run
from jlrun.models import checkpoints
from jlrun.runs.sweeps.records import scores_of

SMALL = [
    "dataset=shapes",
    "dataset.num_train=150",
    "dataset.num_test=60",
    "dataset.size=16",
    "dataset.modalities=[image,text,audio]",
    "batch_size=32",
    "epochs=1",
    "backbone.image.channels=[4]",
    "backbone.image.hidden=16",
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
]
CLIP = ["mode=multimodal", "terms=[clip]", "terms.clip.out_features=8", "pretraining.epochs=2"]
PAIRS = {"image-text", "image-audio", "text-audio"}


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    assert main([*SMALL, *overrides, f"hydra.run.dir={folder}"]) == 0
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def contrastive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ends with the pretraining; six of the combinations are held out."""
    folder = tmp_path_factory.mktemp("contrastive") / "run"
    positives = "retrieval.positives=[shape,colour,size,position]"
    only = ["pretraining.only=true", "dataset.held_out=6", positives]
    run(folder, *CLIP, *only, "retrieval.templates=['a {}']")
    return folder


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_a_run_of_pretraining_alone_reports_its_space(contrastive: Path) -> None:
    result = result_of(contrastive)
    assert (result["test"], result["baselines"], result["gain"]) == ({}, {}, None)
    assert result["selected"]["phase"] == "self_supervised"
    assert result["objective"]["name"] == "retrieval/val/recall_at_1"
    pairs = result["retrieval"]["clip"]
    assert pairs.keys() == PAIRS
    for pair, directions in pairs.items():
        one, other = pair.split("-")
        assert directions.keys() == {f"{one} to {other}", f"{other} to {one}"}
        for scores in directions.values():
            assert (
                0 <= scores["recall_at_1"] <= scores["recall_at_5"] <= scores["recall_at_10"] <= 1
            )
            assert 1 <= scores["median_rank"] <= 60


def test_unseen_classes_are_scored_by_their_names(contrastive: Path) -> None:
    space = result_of(contrastive)["shared_space"]["clip"]
    found = space["prompts"]["object"]
    assert len(found["unseen_classes"]) == 6
    assert found["image"].keys() == {
        *("accuracy", "chance", "seen_accuracy", "unseen_accuracy"),
        *("among_unseen", "chance_among_unseen"),
    }
    assert "unseen_classes" not in space["prompts"]["shape"]
    assert space["modality_gap"].keys() == PAIRS
    for measure in ("centroids", "linear"):
        table = space[measure]["colour"]
        assert table.keys() == table["image"].keys() == {"image", "text", "audio"}
    assert space["knn"]["size"].keys() == {"image", "text", "audio"}


def test_it_draws_what_captions_find(contrastive: Path) -> None:
    names = {file.name for file in (contrastive / "figures").iterdir()}
    assert "retrieval_clip_text_to_image.png" in names
    assert not any("audio" in name for name in names)


def test_it_records_recall_after_each_epoch_and_at_the_end(contrastive: Path) -> None:
    with (contrastive / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    tags = [row["tag"] for row in rows]
    assert tags.count("retrieval/val/dataset/clip/image_to_text/recall_at_1") == 2
    (found,) = [
        r for r in rows if r["tag"] == "retrieval/test/clip/image-text/image_to_text/recall_at_5"
    ]
    expected = result_of(contrastive)["retrieval"]["clip"]["image-text"]["image to text"]
    assert float(found["value"]) == pytest.approx(expected["recall_at_5"])


def test_evaluate_scores_the_space_again(contrastive: Path) -> None:
    found, result = evaluate_run(contrastive, []), result_of(contrastive)
    assert found["retrieval"] == result["retrieval"]
    assert found["shared_space"] == result["shared_space"]
    assert (found["val"], found["test"]) == ({}, {})


def test_what_it_prints(contrastive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(contrastive)]) == 0
    said = capsys.readouterr().out
    assert "image to text: R@1/5/10" in said
    assert "object by image:" in said
    assert "on unseen classes" in said


def test_a_later_run_begins_with_the_encoders_and_the_space(
    contrastive: Path, tmp_path: Path
) -> None:
    more = [f"source.run={contrastive}", "dataset@target=shapes", "fusion=gated", "~source.seed"]
    small = [key.replace("dataset.", "target.") for key in SMALL if key != "dataset=shapes"]
    folder = tmp_path / "later"
    clip = ["terms=[clip]", "terms.clip.out_features=8", "pretraining.epochs=0"]
    overrides = ["mode=transfer", *more[:3], *small, *clip, "baselines=false", "tasks=[shape]"]
    overrides.append("recorder.figures=false")
    assert main([*overrides, f"hydra.run.dir={folder}"]) == 0
    start = result_of(folder)["start"]
    tensors = checkpoints.load_tensors(contrastive / "checkpoints" / "best")
    wanted = {name for name in tensors if name.startswith(("body.trunk.encoders", "spaces."))}
    assert not wanted & set(start["not_loaded"])
    assert len([name for name in wanted if name.startswith("spaces.clip.heads")]) == 3
    assert result_of(folder)["retrieval"].keys() == {"clip"}


def test_beside_the_tasks_baselines_of_one_modality_stay_as_they_are(tmp_path: Path) -> None:
    two = ["modalities=[image,text]", "tasks=[shape]", "mode=multimodal", "recorder.figures=false"]
    keys = ["terms=[clip]", "terms.clip.out_features=8", "pretraining.epochs=0"]
    with_term, without = run(tmp_path / "with", *two, *keys), run(tmp_path / "without", *two)
    assert with_term["retrieval"]["clip"].keys() == {"image-text"}
    assert "retrieval" not in without
    for name in ("image", "text"):
        assert with_term["baselines"][name] == without["baselines"][name]
    names = checkpoints.load_tensors(tmp_path / "with" / "checkpoints" / "best")
    assert "spaces.clip.heads.image.weight" in names
    alone = checkpoints.load_tensors(
        tmp_path / "with" / "baselines" / "image" / "checkpoints" / "best"
    )
    assert not any(name.startswith("spaces") for name in alone)


def test_a_space_is_scored_before_supervision_moves_the_encoders(tmp_path: Path) -> None:
    """The phase before is what the space belongs to, whatever the tasks make of its encoders."""
    quick = ["tasks=[shape]", "baselines=false", "recorder.figures=false"]
    both = run(tmp_path / "both", *CLIP, *quick)
    only = run(tmp_path / "only", *CLIP, *quick, "pretraining.only=true")
    assert both["retrieval"] == only["retrieval"]
    assert both["test"].keys() == {"shape"}


@pytest.mark.parametrize("term", ["siglip", "cmc", "vicreg_modalities", "masked_modality"])
def test_every_term_between_modalities_trains(term: str, tmp_path: Path) -> None:
    keys = ["mode=multimodal", f"terms=[{term}]", "pretraining.epochs=1", "pretraining.only=true"]
    result = run(tmp_path / term, *keys, "recorder.figures=false")
    assert ("retrieval" in result) == (term != "masked_modality")
    assert result["cost"]["steps"] > 0


def test_a_teacher_of_several_modalities_teaches_a_student_of_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    teacher = tmp_path / "teacher"
    quick = ["tasks=[shape]", "baselines=false", "recorder.figures=false"]
    run(teacher, "mode=multimodal", *quick)
    keys = [f"terms.distill.run={teacher}", "terms=[distill]", "terms.distill.logits=1"]
    student = run(tmp_path / "student", "mode=multitask", "modalities=[image]", *quick, *keys)
    assert student["test"].keys() == {"shape"}
    names = checkpoints.load_tensors(tmp_path / "student" / "checkpoints" / "best")
    encoders = {name.split(".")[3] for name in names if ".encoders." in name}
    assert encoders == {"image"}
    specs = json.loads((tmp_path / "student" / "model.json").read_text())["modalities"]
    assert specs.keys() == {"image"}
    again = evaluate_run(tmp_path / "student", [])
    assert again["test"] == student["test"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["mode=multitask", "modalities=[image]", "terms=[clip]"],
            "terms.clip: would do nothing in this run: it brings modalities together",
        ),
        (
            ["mode=multimodal", "terms=[clip]", "terms.clip.modalities=[image,txt]"],
            "terms.clip.modalities: the model takes no 'txt'. Did you mean 'text'?",
        ),
        (
            ["mode=multimodal", "terms=[clip]", "terms.clip.positives=[color]"],
            "terms.clip.positives: 'color' is not a target column with classes. "
            "Did you mean 'colour'",
        ),
        (
            ["mode=multimodal", "terms=[clip]", "retrieval.positives=[shap]"],
            "retrieval.positives: 'shap' is not a target column with classes. "
            "Did you mean 'shape'?",
        ),
        (
            ["mode=multimodal", "terms=[clip]", "retrieval.templates=[a thing]"],
            "retrieval.templates.0: 'a thing' has no place for the name of a class",
        ),
        (
            ["mode=multimodal", "pretraining.only=true"],
            "pretraining.only: there is no pretraining",
        ),
        (
            ["mode=multimodal", "terms=[clip]", "pretraining.only=true", "pretraining.epochs=0"],
            "pretraining.only: true leaves nothing to train",
        ),
    ],
)
def test_what_a_user_can_get_wrong(
    overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*SMALL, *overrides, f"hydra.run.dir={folder}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said
    assert not folder.exists()


def test_a_run_without_tasks_predicts_nothing(
    contrastive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--input", str(tmp_path), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", str(contrastive), *arguments]) == 2
    assert "learned no task" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["soup", "diagnose"])
def test_verbs_about_tasks_say_that_there_are_none(
    verb: str, contrastive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(contrastive)]
    if verb == "soup":
        twin = tmp_path / "twin"
        shutil.copytree(contrastive, twin)
        runs += [str(twin), "--output", str(tmp_path / "soup")]
    assert main([verb, *runs]) == 2
    assert "no task" in capsys.readouterr().err


def test_a_sweep_compares_recall(contrastive: Path) -> None:
    scores = scores_of(result_of(contrastive))
    assert scores["retrieval/val/recall_at_1"] == result_of(contrastive)["objective"]["value"]
    pairs = result_of(contrastive)["retrieval"]["clip"]
    found = scores["retrieval/test/clip/text_to_image/recall_at_1"]
    assert found == pairs["image-text"]["text to image"]["recall_at_1"]
