"""The real launcher starts the ranks again after one is killed, and nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from jlrun.files.run_directory import RunDirectory
from tests.ranks.launched import PATIENCE, assert_same
from tests.ranks.restarted import killed, launched, wait_for_epoch, whole


@pytest.mark.slow
def test_torchrun_restarts_a_run_exactly(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    expected = whole(folders[0])
    assert_same(killed(folders[1], 1, 2, 0.1), expected)


@pytest.mark.slow
def test_ctrl_c_on_torchrun_ends_with_one_line_and_a_checkpoint(tmp_path: Path) -> None:
    launcher = launched(tmp_path)
    wait_for_epoch(launcher, tmp_path, 1)
    launcher.send_signal(signal.SIGINT)
    launcher.wait(PATIENCE)
    lines = (tmp_path / "errors").read_text().splitlines()
    (own,) = [line for line in lines if "jlrun: " in line]  # the rest is the launcher's
    assert own.startswith("jlrun: interrupted; to go on: jlrun resume ")
    assert (RunDirectory(tmp_path / "run").checkpoints / "last" / "state.pt").exists()
