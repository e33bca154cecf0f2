"""Fusion of data with several modalities, where the user chose none."""

from __future__ import annotations

import pytest

from jlrun.config import checked
from jlrun.config.default_fusion import with_fusion
from jlrun.errors import UserError

CONFIG = {
    "mode": "multitask",
    "fusion": {"_target_": "jlrun.models.fusions.Single"},
    "dataset": {"_target_": "a.b", "modalities": ["text", "tabular"], "tasks": {"t": {}}},
}


def fused(*overrides: str, **changes: object) -> str:
    config, lines = with_fusion({**CONFIG, **changes}, overrides)
    name = config["fusion"]["_target_"].rpartition(".")[2]
    assert lines == ([] if name == "Single" else [f"fusion=gated: {SAID}"])
    return name


SAID = "for text, tabular (any other overrides it)"


def test_only_a_fusion_that_nobody_chose_is_replaced() -> None:
    assert fused() == "Gated"
    assert fused("fusion=none") == "Single"
    assert fused("seed=1", "~fusion.x") == "Single"
    assert fused(modalities=["text"]) == "Single"
    assert fused("modalities=[text,tabular]", modalities=["text", "tabular"]) == "Gated"
    # Weights of another run belong to its fusion.
    assert fused(source={"run": "outputs/a"}) == "Single"


def test_of_a_whole_config() -> None:
    choice = ["mode=multitask", "dataset=digits_dtmf"]
    found = checked(choice)
    assert found.config["fusion"]["width"] == 256
    assert found.inferred == ("fusion=gated: for image, audio (any other overrides it)",)
    with pytest.raises(UserError, match="fusion: none takes one modality"):
        checked([*choice, "fusion=none"])
