"""The registry of config groups has each folder of ``conf/``, and the schema has each group."""

from __future__ import annotations

from jlrun.config.groups import GROUPS
from jlrun.config.nodes import SEVERAL, SINGLE, SOURCES
from jlrun.config.options import package_folder, read_groups
from jlrun.config.schema import Settings

_BRINGS_VALUES_OF_OTHERS = {"experiment"}


def test_each_group_of_conf_is_registered_once() -> None:
    folders = {group.split("/")[0] for group in read_groups([package_folder()])}
    assert sorted(folders) == sorted(group.name for group in GROUPS)


def test_the_schema_has_each_key_of_each_group() -> None:
    keys = {key for group in GROUPS for key in group.keys}
    assert keys - set(Settings.model_fields) == _BRINGS_VALUES_OF_OTHERS
    assert keys >= {*SINGLE, SEVERAL, SOURCES}


def test_files_of_shared_keys_exist() -> None:
    for group in GROUPS:
        assert not group.shared_keys or (package_folder() / group.shared_keys).is_file()
