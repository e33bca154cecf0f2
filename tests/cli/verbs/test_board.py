"""``jlrun board``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from jlrun.cli.verbs.board import main


class _Process:
    """Stands for TensorBoard."""

    commands: ClassVar[list[list[str]]] = []
    environments: ClassVar[list[dict[str, str]]] = []
    interrupted = False

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.commands.append(command)
        self.environments.append(env)

    def wait(self) -> int:
        if self.interrupted:
            type(self).interrupted = False
            raise KeyboardInterrupt
        return 0


@pytest.mark.parametrize("interrupted", [False, True])
def test_it_serves_the_folder_until_interrupted(
    interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", _Process)
    monkeypatch.setattr(_Process, "interrupted", interrupted)
    assert main([str(tmp_path), "--port", "7000"]) == 0
    assert _Process.commands[-1] == [
        *(sys.executable, "-m", "tensorboard.main"),
        *("--logdir", str(tmp_path), "--port", "7000"),
    ]
    # A folder of a stranger's runs may hold a module called tensorboard.
    assert _Process.environments[-1]["PYTHONSAFEPATH"] == "1"
