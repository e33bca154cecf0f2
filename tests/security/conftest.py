"""A run that strangers change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jlrun.cli.main import main
from tests.security.verbs import DIGITS


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main([*DIGITS, f"hydra.run.dir={run}"]) == 0
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, for a stranger to change; no canary may be left in the folder around it."""
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    np.savez(tmp_path / "input.npz", image=np.zeros((2, 1, 8, 8), dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    yield copy
    assert not [str(path) for path in tmp_path.rglob("canary*")]
    assert os.getcwd() == str(tmp_path)
