"""The top level of a config: types, ranges and unknown keys."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jlrun.config.compose import compose
from jlrun.config.messages import check_schema
from jlrun.config.schema import Settings
from jlrun.config.value_types import parse_size


@cache
def _config(mode: str) -> dict[str, Any]:
    return compose([f"mode={mode}"]).config


@pytest.mark.parametrize("mode", ["transfer", "multitask"])
def test_the_defaults_are_right(mode: str) -> None:
    assert check_schema(_config(mode)) == []


def test_settings_hold_typed_values() -> None:
    settings = Settings.parse(_config("transfer"))
    assert settings.engine.memory_budget == 4 * 2**30
    assert settings.finetune is not None
    assert settings.finetune["body_lr"] == 1.0
    assert settings.target is not None
    assert settings.target["shots"] == 5
    assert settings.terms == {}
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 1.5, "epochs: 1.5 is not a whole number"),
        ("epochs", True, "epochs: true is not a whole number"),
        ("epochs", 0, "epochs: 0 is too small: at least 1"),
        ("epochs", None, "epochs: null is not a whole number"),
        ("seed", -1, "seed: -1 is too small: at least 0"),
        ("seed", 2**32, "seed: 4294967296 is too large: less than 4294967296"),
        ("baselines", "maybe", "baselines: 'maybe' is not true or false"),
        ("baselines", 1, "baselines: 1 is not true or false"),
        ("lambda_", "much", "lambda_: 'much' is not a number"),
        ("lambda_", float("inf"), "lambda_: inf is not a finite number"),
        ("patience", "x", "patience: 'x' is not a whole number"),
        ("tasks", "digit", "tasks: 'digit' is not a list, as in [a,b]: write tasks=[digit]"),
        ("tasks", [], "tasks: [] is too short: at least 1"),
        ("tasks", [1], "tasks.0: 1 is not text"),
        ("mode", "both", "mode: there is no choice 'both'."),
        ("optimizer", {"lr": 1}, "optimizer: {lr} has no _target_"),
        ("optimizer", "sgd", "optimizer: 'sgd' is not a group of keys"),
        ("engine.precision", "fp61", "there is no choice 'fp61'. Did you mean 'fp16'?"),
        ("engine.device", "gpu", "engine.device: 'gpu' is not a device: auto, cpu, cuda, cuda:N"),
        ("engine.memory_budget", "4XB", "engine.memory_budget: '4XB' is not a size: write 4GB"),
        ("engine.clip_norm", 0, "engine.clip_norm: 0 is too small: more than 0"),
        ("engine.threads", 0, "engine.threads: 0 is too small: at least 1"),
        ("engine.devcie", "cpu", "engine.devcie: there is no such key. Did you mean 'device'?"),
        ("enigne", {}, "enigne: there is no such key. Did you mean 'engine'?"),
        ("modality_dropout", 1.0, "modality_dropout: 1.0 is too large: less than 1"),
        ("modality_dropout", {"audio": -0.1}, "modality_dropout.audio: -0.1 is too small: at le"),
        ("modality_dropout", "some", "modality_dropout: 'some' is not a number"),
        ("missing.rates", [0.5, 0.3], "missing.rates: [0.5,0.3] are not rates in ascending order"),
        ("missing.rates", [0.5, 1.0], "missing.rates.1: 1.0 is too large: less than 1"),
        ("missing.seeds", [1, 1], "missing.seeds: [1,1] names '1' twice"),
        ("recorder.progress", "nice", "recorder.progress: there is no choice 'nice'."),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(key: str, value: Any, message: str) -> None:
    config: dict[str, Any] = dict(_config("multitask"))
    section, _, name = key.rpartition(".")
    if section:
        config[section] = {**config[section], name: value}
    else:
        config[name] = value
    (problem,) = check_schema(config)
    assert message in str(problem)


def test_a_missing_key_is_told() -> None:
    config = {key: value for key, value in _config("multitask").items() if key != "epochs"}
    assert [str(problem) for problem in check_schema(config)] == ["epochs: is missing"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 2**32), ("512MB", 2**29), ("1.5 kb", 1536), ("2GiB", 2**31), ("100", 100), (7, 7)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
