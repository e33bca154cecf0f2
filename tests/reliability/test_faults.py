"""The faults in short form; ``JLRUN_FAULTS=long`` does them all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.__main__ import table
from tests.reliability.children import End
from tests.reliability.faults import Outcome

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are run in forked processes")
def test_what_comes_of_faults_is_allowed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.reliability"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_traceback_and_several_lines_are_not_one_line() -> None:
    assert End(2, "", "jlrun: x: is damaged\n").one_line
    assert not End(2, "", "Traceback (most recent call last):\n").one_line
    assert not End(2, "", "jlrun: x\njlrun: y\n").one_line


def test_an_outcome_that_is_not_allowed_is_counted_as_other() -> None:
    found = [Outcome("kill", "a", "the same"), Outcome("kill", "b", "taken for sound")]
    assert not found[1].allowed
    assert "| kill | 2 | 1 | 0 | 0 | 1 |" in table(found)
