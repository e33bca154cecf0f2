"""The command under torchrun: as one process does it, in one run directory; refusals in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ranks.comparing import assert_close
from tests.ranks.processes import free_port

RUN = ["mode=multitask", "weighting=pcgrad", "epochs=2", "baselines=false"]
RUN += ["dataset.augment.crop=1"]  # of own rows alone
RUN += ["recorder.figures=false", "recorder.tensorboard=false", "recorder.progress=plain"]


def started(
    folder: Path, arguments: list[str], size: int = 1, rank: int = 0, port: int = 0
) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if size > 1:  # what torchrun sets
        environment |= {"WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, "-m", "jlrun", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(folder: Path, arguments: list[str], size: int = 1) -> list[tuple[int, str, str]]:
    """Return exit code, output and errors of each rank."""
    port = free_port()
    ranks = [started(folder, arguments, size, rank, port) for rank in range(size)]
    outputs = [rank.communicate(timeout=100) for rank in ranks]
    return [(rank.returncode, *output) for rank, output in zip(ranks, outputs, strict=True)]


def result(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "result.json").read_text())
    return {k: v for k, v in found.items() if k not in ("cost", "overrides", "ranks")}


@pytest.mark.slow
def test_two_ranks_are_one_run(tmp_path: Path) -> None:
    ((code, _, errors),) = done(tmp_path, [*RUN, "hydra.run.dir=one"])
    assert code == 0, errors
    first, second = done(tmp_path, [*RUN, "hydra.run.dir=two"], size=2)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "2 ranks" in first[1]
    assert second[1:] == ("", ""), "rank 0 alone speaks"
    assert_close(result(tmp_path / "one"), result(tmp_path / "two"))
    one, two = (sorted(p.name for p in (tmp_path / run).rglob("*")) for run in ("one", "two"))
    assert one == two
    assert json.loads((tmp_path / "two" / "result.json").read_text())["ranks"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mode=multitask", "seed=1,2", "--multirun"], "a sweep is one process, not 2"),
        (["study"], "jlrun study is one process, not 2"),
        (["mode=multitask", "optimizer.lr=abc"], "'abc' is not a number"),
    ],
)
def test_refusals(tmp_path: Path, arguments: list[str], words: str) -> None:
    (first,) = [started(tmp_path, arguments, size=2, port=free_port())]
    output, errors = first.communicate(timeout=60)
    assert (first.returncode, output) == (2, "")
    assert words in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())
