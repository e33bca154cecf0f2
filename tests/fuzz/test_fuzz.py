"""The short form of ``python -m tests.fuzz``: the same cases, fewer of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz import sandbox
from tests.fuzz.broken_files import broken_file
from tests.fuzz.configurations import configuration

ROOT = Path(__file__).parents[2]


def test_odd_configurations_and_malformed_files_end_in_one_line() -> None:
    # In a process that has not started PyTorch's threads, since cases are forked from it.
    command = [sys.executable, "-m", "tests.fuzz", "--configurations=6", "--files=4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "exit code 2" in found.stdout


def test_cases_depend_on_the_seed_alone() -> None:
    first = [configuration(0, number).arguments for number in range(50)]
    assert [configuration(0, number).arguments for number in range(50)] == first
    assert [configuration(1, number).arguments for number in range(50)] != first
    files = [broken_file(3, number, Path()).about for number in range(50)]
    assert [broken_file(3, number, Path()).about for number in range(50)] == files


def test_what_counts_as_a_fault() -> None:
    def fault(code: int, output: str) -> str:
        return sandbox.Outcome(code, output, 0.0).fault()

    assert fault(0, "OK") == ""
    assert fault(2, "jlrun: epochs: 'x' is not a whole number") == ""
    assert fault(2, "") != ""
    assert fault(70, "Traceback (most recent call last):") == "traceback"
    assert fault(1, "jlrun: KeyError: this is a fault of jlrun, or …") != ""
    assert fault(-9, "") == "out of time"
    assert fault(-11, "") == "exit code -11"
    assert fault(2, "jlrun: " + "x" * 5000) != ""
