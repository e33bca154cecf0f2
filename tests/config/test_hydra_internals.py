"""Hydra's internals are imported in one module, so that a new Hydra is adapted to in one place."""

from __future__ import annotations

from pathlib import Path

import jlrun


def test_one_module_imports_hydras_internals() -> None:
    package = Path(jlrun.__file__).parent
    users = [
        file.relative_to(package).as_posix()
        for file in sorted(package.rglob("*.py"))
        if "hydra._internal" in file.read_text(encoding="utf-8")
    ]
    assert users == ["config/hydra_internals.py"]
