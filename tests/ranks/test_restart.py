"""The real launcher starts the ranks again after one is killed, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ranks.launched import assert_same
from tests.ranks.restarted import killed, whole


@pytest.mark.slow
def test_torchrun_restarts_a_run_exactly(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    expected = whole(folders[0])
    assert_same(killed(folders[1], 1, 2, 0.1), expected)
