"""Steps with numbers that are not finite are left out on all ranks alike, with their rows named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from jlrun.data.rows import TensorRows
from jlrun.engine import Engine
from jlrun.errors import RunError
from jlrun.ranks.world import World
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.spans import PhaseRun
from jlrun.training.state import PhaseState
from tests.ranks.comparing import check_equal
from tests.ranks.processes import Processes
from tests.toy import CPU, toy_batch, toy_model, toy_phase, toy_stream, toy_surroundings
from tests.training.test_resumed_terms import Numbers

BAD_ROW = 13  # of the training split


class Lines(Numbers):
    """Recorder of what is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)


def spoilt(world: World, allowed: int) -> dict[str, Any]:
    """Train four epochs on rows of which one is no number."""
    engine, model = Engine(CPU, world=world, skip_nonfinite=allowed), toy_model()
    batch = toy_batch(40)
    x = batch.inputs["x"].clone()
    x[BAD_ROW] = torch.nan
    stream = toy_stream(rows=TensorRows({"x": x}, batch.targets))
    phase = replace(toy_phase(), train={"dataset": stream})
    learner = build_learner(model, phase, engine)
    run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None)
    recorder = Lines()
    error = ""
    try:
        train(run, toy_surroundings(engine=engine, recorder=recorder))
    except RunError as raised:
        error = str(raised)
    told = [line.split(" (", 1)[0] for line in recorder.lines]
    return {
        "skipped": run.state.skipped,
        "error": error.partition("; on rank")[0].partition(": try")[0].rstrip(")"),
        "told": told,
        "model": dict(model.state_dict()),
    }


def test_ranks_leave_out_the_steps_of_one_process(processes: Processes) -> None:
    check_equal(processes, spoilt, 4)


def test_ranks_fail_alike(processes: Processes) -> None:
    check_equal(processes, spoilt, 0)


@pytest.mark.parametrize("size", [2, 3])
def test_the_rank_of_the_row_is_named(processes: Processes, size: int) -> None:
    for found in processes.run(size, spoilt, 1):
        assert found["skipped"] == 1
        assert f"({BAD_ROW} of its training split" in found["error"]
        assert found["told"] == ["step 4 of phase 'train'"]
