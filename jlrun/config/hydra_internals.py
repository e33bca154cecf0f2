"""Hydra's internals that jlrun builds on: the only module that imports `hydra._internal`.

They have no promise of stability, so that a new version of Hydra is adapted to here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import yaml
from hydra._internal import defaults_list
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import (
    CachingConfigRepository,
    ConfigRepository,
    IConfigRepository,
)
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import OverrideMetadata, Overrides, _create_defaults_list
from hydra._internal.hydra import Hydra
from omegaconf import DictConfig, _utils

create_defaults_list = _create_defaults_list
get_yaml_loader = _utils.get_yaml_loader
interpolation_map = defaults_list._create_interpolation_map


def _map_where_used(overrides: Overrides, defaults: list[Any], self_added: bool) -> DictConfig:
    """Return the choices that the defaults of one file may refer to; nothing where none does.

    Hydra makes the map of all choices for each file that it reads, a third of the time of a
    composition, and looks into it for defaults such as ``/optimizer: ${model}`` alone.
    """
    if any(default.is_interpolation() for default in defaults):
        return interpolation_map(overrides, defaults, self_added)
    return DictConfig({})


defaults_list._create_interpolation_map = _map_where_used


@contextmanager
def quick_yaml() -> Iterator[None]:
    """Have OmegaConf parse files with libyaml, where PyYAML has it: several times as fast.

    For files without mistakes: keys that occur twice are not seen, and messages are others.
    """
    _utils.get_yaml_loader = _quick_loader
    try:
        yield
    finally:
        _utils.get_yaml_loader = get_yaml_loader


@cache
def _quick_loader() -> Any:
    plain = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return plain

    class QuickLoader(yaml.CSafeLoader):
        yaml_implicit_resolvers = plain.yaml_implicit_resolvers
        yaml_constructors = plain.yaml_constructors

    return QuickLoader


__all__ = [
    "CachingConfigRepository",
    "Callbacks",
    "ConfigLoaderImpl",
    "ConfigRepository",
    "ConfigSearchPathImpl",
    "Hydra",
    "IConfigRepository",
    "OverrideMetadata",
    "Overrides",
    "create_defaults_list",
    "quick_yaml",
]
