"""Hydra's internals are imported in one module, so that a new Hydra is adapted to in one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal import defaults_list

import jlrun
from jlrun.config.compose import compose
from jlrun.config.hydra_internals import interpolation_map


def test_one_module_imports_hydras_internals() -> None:
    package = Path(jlrun.__file__).parent
    users = [
        file.relative_to(package).as_posix()
        for file in sorted(package.rglob("*.py"))
        if "hydra._internal" in file.read_text(encoding="utf-8")
    ]
    assert users == ["config/hydra_internals.py"]


OWN = {
    "dataset/by_weighting.yaml": """
defaults:
  - printed_digits
  - limits@_here_: ${weighting}
""",
    "dataset/limits/mgda.yaml": "limit: 17",
    "dataset/limits/famo.yaml": "limit: 19",
}


@pytest.mark.parametrize(("weighting", "limit"), [("mgda", 17), ("famo", 19)])
def test_defaults_may_name_a_choice(
    weighting: str, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in OWN.items():
        file = tmp_path / "conf" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    overrides = ["mode=multitask", "dataset=by_weighting", f"weighting={weighting}"]
    found = compose(overrides).config
    assert found["dataset"]["limit"] == limit
    monkeypatch.setattr(defaults_list, "_create_interpolation_map", interpolation_map)
    assert compose(overrides).config == found
