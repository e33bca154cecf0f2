"""A rank that dies, fails or hangs ends the others with one line; a restart goes on exactly."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.errors import RunError
from jlrun.files.bounded_text import read_json
from jlrun.training import spans
from tests.ranks.launched import COMMAND, FIRST, Launch, assert_same, outcome, restart

ARGUMENTS = (*COMMAND, "hydra.run.dir=run")
STEPS = 54  # of the run, in three epochs


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    launch = Launch(folder, ARGUMENTS)
    assert launch.codes() == [0, 0], launch.lines()
    return folder


def at_step(number: int, of_rank: int, do: Callable[[], object]) -> Callable[[int], None]:
    """Return what prepares a rank to do something before a step."""

    def prepare(rank: int) -> None:
        step, count = spans.train_step, 0

        def counted(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                do()
            return step(*arguments)

        if rank == of_rank:
            spans.train_step = counted

    return prepare


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_other_and_a_restart_goes_on(
    tmp_path: Path, whole: Path, rank: int
) -> None:
    step = random.Random(rank).randint(2, STEPS)
    launch = Launch(tmp_path, ARGUMENTS, environ=FIRST, prepare=at_step(step, rank, die))
    codes = launch.codes()
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 1
    (line,) = launch.lines()
    assert f"rank {rank} is gone" in line
    restart(tmp_path)
    assert_same(outcome(tmp_path / "run"), outcome(whole / "run"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RunError("a disk is full"), "rank 1: a disk is full"),
        (ValueError("a fault\nof two lines"), "rank 1: ValueError: a fault; of two lines"),
        (torch.OutOfMemoryError("no memory"), "rank 1: out of memory in phase"),
    ],
)
def test_a_rank_that_fails_ends_the_other(tmp_path: Path, error: Exception, told: str) -> None:
    launch = Launch(tmp_path, ARGUMENTS, prepare=at_step(7, 1, fail(error)))
    assert launch.codes() == [1, 1]
    (line,) = launch.lines()
    assert line.startswith(f"jlrun: {told}")
    result = read_json(tmp_path / "run" / "result.json")
    assert (result["status"], f"jlrun: {result['error']}") == ("failed", line)


def test_a_wrong_configuration_is_stated_once(tmp_path: Path) -> None:
    launch = Launch(tmp_path, (*ARGUMENTS, "tasks=[letter]"))
    assert launch.codes() == [2, 2]
    assert len([line for line in launch.lines() if not line.startswith("rank 1: ")]) == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_with_a_checkpoint(
    tmp_path: Path, whole: Path, rank: int
) -> None:
    stop = at_step(30, rank, lambda: os.kill(os.getpid(), signal.SIGTERM))
    launch = Launch(tmp_path, ARGUMENTS, environ=FIRST, prepare=stop)
    assert launch.codes() == [130, 130]
    (line,) = launch.lines()
    assert line.startswith("jlrun: interrupted; to go on: jlrun resume ")
    restart(tmp_path)
    assert_same(outcome(tmp_path / "run"), outcome(whole / "run"))


def test_a_hang_is_told_with_the_collective_and_the_missing_rank(tmp_path: Path) -> None:
    sleep = at_step(7, 1, lambda: time.sleep(600))
    launch = Launch(tmp_path, (*ARGUMENTS, "engine.timeout=4"), prepare=sleep)
    assert launch.codes() == [1, 1]
    (line,) = launch.lines()
    assert line.startswith("jlrun: all_reduce number ")
    assert "has waited 4 s for rank 1, which is at jlrun/training/spans.py:" in line
    assert read_json(tmp_path / "run" / "result.json")["status"] == "failed"


def test_a_complete_run_is_left_alone_after_a_restart(whole: Path) -> None:
    file = whole / "run" / "result.json"
    before = file.read_bytes()
    restart(whole)
    assert file.read_bytes() == before
