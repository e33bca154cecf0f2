"""Hydra's internals that jlrun builds on: the only module that imports `hydra._internal`.

They have no promise of stability, so that a new version of Hydra is adapted to here.
"""

from typing import Any

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
from omegaconf import DictConfig

create_defaults_list = _create_defaults_list
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
]
