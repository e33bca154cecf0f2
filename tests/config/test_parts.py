"""What must fit together: tasks, modalities, fusion, mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jlrun.config.options import package_folder
from jlrun.config.parts import check_parts, chosen_modalities


def _fusion(name: str) -> dict[str, Any]:
    return yaml.safe_load((package_folder() / "fusion" / f"{name}.yaml").read_text())


def _data(tasks: str = "digit parity", modalities: str = "image") -> dict[str, Any]:
    return {"tasks": {name: {} for name in tasks.split()}, "modalities": modalities.split()}


def _config(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "multitask",
        "dataset": _data(),
        "tasks": None,
        "modalities": None,
        "fusion": _fusion("none"),
        "backbone": {"image": {}, "audio": {}},
        "lambda_": 1.0,
    } | changes


def _transfer(source: dict[str, Any], target: dict[str, Any], **changes: Any) -> dict[str, Any]:
    config = _config(mode="transfer", source=source, target=target, **changes)
    del config["dataset"]
    return config


TWO = _data(modalities="image audio")
FOLDS = {"folds": 3, "repeats": 2, "fold": None}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_config(tasks=["digt"]), "tasks: the data set has no task 'digt'. Did you mean 'digit'?"),
        (_config(modalities=["imge"]), "modalities: dataset has no modality 'imge'. Did you mean"),
        (_config(fusion=_fusion("concat")), "fusion: there is one modality, image: nothing to fu"),
        (_config(dataset=TWO), "fusion: none takes one modality, here are image, audio; choose"),
        (_config(modality_dropout=0.2), "modality_dropout: there is one modality, image, which no"),
        (
            _config(dataset=TWO, fusion=_fusion("sum"), modality_dropout={"audoi": 0.2}),
            "modality_dropout: the run has no modality 'audoi'. Did you mean 'audio'?",
        ),
        (_config(mode="multimodal"), "mode: multimodal needs at least two modalities, here is im"),
        (_config(dataset=_data(modalities="text")), "backbone.text: no encoder for this modality"),
        (_config(dataset=_data() | FOLDS | {"fold": 6}), "dataset.fold: 6 is too large: 6 folds"),
        (_config(dataset=_data() | {"fold": 0}), "dataset.fold: there are no folds; set dataset.f"),
        (_config(dataset=_data() | {"repeats": 2}), "dataset.repeats: there are no folds; set dat"),
        (_config(dataset=_data() | FOLDS | {"time_by": "day"}), "dataset.repeats: folds by time a"),
        (_transfer(_data() | FOLDS, _data()), "source.folds: one data set, or the target of a tra"),
        (
            _transfer(_data(), _data() | FOLDS, strategy="adapt"),
            "target.folds: strategy=adapt trai",
        ),
        (_config(dataset=None), "dataset: there is no data set; choose one with dataset=…"),
        (_config(source=_data()), "source: mode=multitask takes dataset instead"),
        (_config(dataset={"tasks": {}, "modalities": ["image"]}), "dataset.tasks: a data set nam"),
        (_config(dataset={"tasks": {"a": {}}}), "dataset.modalities: a data set lists its modali"),
        (_transfer(_data("digit"), _data(), tasks=["parity"]), "tasks: source has none of [parity"),
        (_transfer(_data(), _data(), tasks=["colour"]), "tasks: the data sets have no task 'colou"),
        (_transfer(_data(), _data(modalities="audio")), "target: source and target share no moda"),
        (_transfer(_data(), _data(), strategy="joint", lambda_=0), "lambda_: 0 leaves strategy=j"),
        (_transfer(_data(), _data(), finetune={"body_lr": 0, "head_lr": 0.0}), "finetune: body_l"),
    ],
)
def test_what_does_not_fit_is_told(config: dict[str, Any], message: str) -> None:
    told = [str(problem) for problem in check_parts(config)]
    assert any(message in problem for problem in told), told


@pytest.mark.parametrize(
    "config",
    [
        _config(),
        _config(tasks=["parity"]),
        _config(dataset=_data() | FOLDS | {"fold": 5}),
        _transfer(_data(), _data() | FOLDS, strategy="joint", lambda_=0.1),
        _config(dataset=TWO, modalities=["audio"]),
        _config(dataset=TWO, fusion=_fusion("gated"), mode="multimodal"),
        _transfer(_data("digit"), _data()),
        _transfer(_data("digit"), _data(), tasks=["digit", "parity"]),
        _transfer(TWO, _data()),
        _transfer(_data(), _data(), strategy="joint", lambda_=0.1),
    ],
)
def test_what_fits_is_left_alone(config: dict[str, Any]) -> None:
    assert check_parts(config) == []


def test_source_and_target_share_modalities() -> None:
    assert chosen_modalities(_transfer(TWO, _data(modalities="text audio"))) == ["audio"]


@pytest.mark.parametrize("override", ["backbone/audio=audio_cnn", "backbone.audio.width=3"])
def test_a_backbone_without_input_is_told_if_it_was_asked_for(override: str) -> None:
    (problem,) = check_parts(_config(), ["mode=multitask", override])
    assert "the run has no audio input, only image" in str(problem)
    assert check_parts(_config(), ["backbone/image=cnn"]) == []


def test_values_of_a_wrong_form_are_left_to_the_schema(tmp_path: Path) -> None:
    assert check_parts(_config(tasks="digit", modalities=3, fusion=None, backbone="x")) == []


@pytest.mark.parametrize("rates", [0.0, 0.3, "auto", {"audio": 0.3}, {"image": 0.1}])
def test_several_modalities_may_be_dropped_at_any_rate(rates: Any) -> None:
    config = _config(dataset=TWO, fusion=_fusion("sum"), modality_dropout=rates)
    assert check_parts(config) == []


@pytest.mark.parametrize("rates", [0, 0.0, {}, {"image": 0.0}])
def test_no_dropout_of_one_modality_is_fine(rates: Any) -> None:
    assert check_parts(_config(modality_dropout=rates)) == []


def _lines(config: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in check_parts(config)]


def test_rows_are_balanced_by_a_task_that_is_there_and_labelled() -> None:
    node = _data() | {"balanced_by": "parity"}
    assert _lines(_config(dataset=node)) == []
    wrong = _lines(_config(dataset=node | {"balanced_by": "party"}))
    assert wrong == [
        "dataset.balanced_by: the data set has no task 'party'. Did you mean 'parity'?"
    ]
    weighted = {**node["tasks"], "parity": {"loss": {"class_weights": "auto"}}}
    (twice,) = _lines(_config(dataset=node | {"tasks": weighted}))
    assert "class_weights=auto makes up for the shares too" in twice
    (hidden,) = _lines(_transfer(_data(), node, strategy="adapt"))
    assert "no label of the target is learned from" in hidden
