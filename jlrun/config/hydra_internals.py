"""Hydra's internals that jlrun builds on: the only module that imports `hydra._internal`.

They have no promise of stability, so that a new version of Hydra is adapted to here.
"""

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

create_defaults_list = _create_defaults_list

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
