"""Every YAML file of every group composes, fits its class, and shows all of its defaults."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

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
            assert shown == signature.parameters.keys() - place.reserved, place.path


def nodes_of(content: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes with a ``_target_`` of a YAML file, nested ones too."""
    if isinstance(content, Mapping):
        if "_target_" in content:
            yield content
        content = list(content.values())
    for item in content if isinstance(content, list) else ():
        yield from nodes_of(item)


def differs(shown: Any, default: Any, annotation: Any) -> bool:
    """Whether a value of a YAML file is another one than the default of the signature."""
    if isinstance(shown, str) and shown.startswith("${"):
        return False
    if isinstance(shown, Mapping) and "_target_" in shown:
        return find(shown["_target_"]) is not default
    if shown is default is None:
        return False
    settings = next(filter(is_dataclass, get_args(annotation)), None)
    if default is None and settings is not None:
        default = asdict(settings())
    elif default is None and shown == {}:
        return False
    return shown != json.loads(json.dumps(default))  # a tuple is a list there


def test_yaml_and_signature_have_the_same_defaults() -> None:
    """A class has one YAML file at least with its defaults; others of it are named variants."""
    different: dict[str, list[dict[str, Any]]] = {}
    plugins = package_folder() / "hydra"  # built by Hydra, which knows them by other names
    files = (f for f in package_folder().rglob("*.yaml") if plugins not in f.parents)
    for file in sorted(files):
        for node in nodes_of(yaml.safe_load(file.read_text(encoding="utf-8"))):
            target = find(node["_target_"])
            if not node["_target_"].startswith("jlrun."):
                continue
            hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
            other = {
                name: (node[name], parameter.default)
                for name, parameter in inspect.signature(target).parameters.items()
                if name in node.keys() - {"modalities"} and parameter.default is not parameter.empty
                if differs(node[name], parameter.default, hints.get(name))
            }
            different.setdefault(node["_target_"], []).append(other)
    assert len(different) > 150
    assert {name: each for name, each in different.items() if all(each)} == {}
