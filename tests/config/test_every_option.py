"""Every YAML file of every group composes, fits its class, and shows all of its defaults."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jlrun.config import check_values
from jlrun.config.check import signature_problems
from jlrun.config.compose import compose
from jlrun.config.groups import places
from jlrun.config.options import package_folder, read_groups
from jlrun.config.signatures import arguments_of, read_signature
from jlrun.config.tables import with_tables
from jlrun.config.trust import find

GROUPS = read_groups([package_folder()])
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]
# Groups that only a strategy of transfer has.
NEEDS_STRATEGY = {"zero_shot": "zero_shot", "validator": "adapt"}
IDS = [f"{group}={option}" for group, option in OPTIONS]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@cache
def config_with(group: str, option: str) -> dict[str, Any]:
    choice = f"{group}=[{option}]" if group == "terms" else f"{group}={option}"
    if group in NEEDS_STRATEGY:
        return compose([f"strategy={NEEDS_STRATEGY[group]}", choice]).config
    own_mode = group in {"mode", "experiment", "strategy", "finetune"}
    return with_tables(compose([choice] if own_mode else ["mode=multitask", choice]).config).config


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=IDS)
def test_an_option_composes_and_fits_its_class(group: str, option: str) -> None:
    config = config_with(group, option)
    # A data set of many modalities needs another fusion; a fusion and a balance many modalities.
    alone = group not in {"dataset", "fusion", "balance"}
    assert (check_values(config) if alone else signature_problems(config)) == []


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=IDS)
def test_an_option_says_what_it_is(group: str, option: str) -> None:
    assert len(GROUPS[group][option].description) > 10


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=IDS)
def test_every_default_of_our_own_classes_shows(group: str, option: str) -> None:
    for place in places(config_with(group, option)):
        target = str(place.node["_target_"])
        if target.startswith("jlrun."):
            signature = read_signature(find(target), len(place.slot.given))
            shown = arguments_of(place.node, place.reserved).keys()
            assert shown == signature.parameters.keys(), place.path
