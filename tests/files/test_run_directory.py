"""The files of a run are named in one module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jlrun
from jlrun.files.run_directory import RunDirectory

# Words of other meanings, such as "last", are spelt elsewhere, too.
_FILES = ("config", "overrides", "metrics", "fingerprint", "environment", "log", "sweep_config")
_FILES += ("study", "sweep_state", "calibration")


@pytest.mark.parametrize("name", _FILES)
def test_one_module_spells_the_file(name: str) -> None:
    package = Path(jlrun.__file__).parent
    quoted = re.compile(rf"[\"/]{re.escape(getattr(RunDirectory(Path()), name).name)}\"")
    users = [
        file.relative_to(package).as_posix()
        for file in sorted(package.rglob("*.py"))
        if quoted.search(file.read_text(encoding="utf-8"))
    ]
    assert users == ["files/run_directory.py"]
