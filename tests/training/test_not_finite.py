"""Numbers that are not finite: the rows are named, and some steps may be left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import RunError
from jlrun.ranks.world import ALONE, World
from jlrun.training import spans
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.not_finite import where_not_finite
from jlrun.training.recorder import Recorder
from jlrun.training.spans import PhaseRun
from jlrun.training.state import PhaseState
from jlrun.training.step import NotFinite
from tests.toy import CPU, toy_batch, toy_model, toy_phase, toy_surroundings


def spoiled(rows: list[int], size: int = 6) -> Batch:
    batch = toy_batch(size)
    x = {name: column.clone() for name, column in batch.inputs.items()}
    for column in x.values():
        column[rows] = float("nan")
    return replace(batch, inputs=x)


def told(batch: Batch, world: World = ALONE) -> str:
    return where_not_finite(toy_phase(), {"dataset": batch}, world, 0)


def test_rows_of_inputs_are_named_with_their_ranks() -> None:
    assert told(spoiled([1, 4])).startswith("the input 'x' of rows 1, 4 of the batch of 'dataset'")
    assert "on rank 0, 1" in told(spoiled([1, 4]), World(1, 2))
    assert "on rank 2" in told(spoiled([4]), World(0, 3))
    assert told(toy_batch(6)) == ""


def test_many_rows_are_counted() -> None:
    assert "rows 0, 1, 2, 3, 4 and 2 others of the batch" in told(spoiled([0, 1, 2, 3, 4, 5, 6], 9))
    assert "every row of 'dataset'" in told(spoiled([0, 1, 2], 3))


def test_absent_inputs_do_not_count() -> None:
    batch = replace(spoiled([1]), present={"x": torch.tensor([1, 0, 1, 1, 1, 1]).bool()})
    assert told(batch) == ""


def test_losses_of_single_rows_are_found() -> None:
    phase, engine = toy_phase(), Engine(CPU)
    learner = build_learner(toy_model(), phase, engine)
    batch = toy_batch(6)
    x = {name: column.clone() for name, column in batch.inputs.items()}
    for column in x.values():
        column[3] = 3e38  # finite, and too large for the model
    learner.model.heads["sign"].weight.data.mul_(1e6)  # pyright: ignore
    found = where_not_finite(
        phase, {"dataset": replace(batch, inputs=x)}, ALONE, 0, learner, engine
    )
    assert found.startswith("a loss of row 3 of the batch of 'dataset'")


def trained(
    spoilt: set[int],
    allowed: int,
    monkeypatch: pytest.MonkeyPatch | None = None,
    recorder: Recorder | None = None,
) -> Any:
    """Train with logits that are no numbers in some steps, counted from 1; or without these."""
    engine, step = Engine(CPU, skip_nonfinite=allowed), spans.train_step
    phase, model = toy_phase(epochs=1), toy_model()
    run = PhaseRun(
        "main", phase, build_learner(model, phase, engine), PhaseState(), 0, lambda force: None
    )

    def spoil(module: object, given: object, found: torch.Tensor) -> torch.Tensor | None:
        in_step = model.training and run.state.step in spoilt
        return found * torch.nan if in_step else None

    def without(*arguments: Any) -> Any:
        if arguments[-1] + 1 in spoilt:
            raise NotFinite("nothing")
        return step(*arguments)

    if monkeypatch is None:
        model.heads["sign"].register_forward_hook(spoil)
    else:
        monkeypatch.setattr(spans, "train_step", without)
    found = toy_surroundings(engine=engine)
    train(run, found if recorder is None else replace(found, recorder=recorder))
    return run


def test_a_step_that_is_left_out_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained({2, 4}, 2)
    expected = trained({2, 4}, 2, monkeypatch)
    assert run.state.skipped == expected.state.skipped == 2
    found, state = run.learner.model.state_dict(), expected.learner.model.state_dict()
    assert all(torch.equal(found[name], x) for name, x in state.items())
    assert PhaseState.from_plain(run.state.to_plain()).skipped == 2


def test_only_so_many_steps_are_left_out() -> None:
    with pytest.raises(RunError, match="'sign' is not a finite number at step 4 "):
        trained({2, 4}, 1)


class Lines(Recorder):
    """Recorder of what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)


def test_lines_of_steps_that_are_left_out_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST_SKIPPED_TOLD", 1)
    recorder = Lines()
    trained({1, 2, 4}, 3, recorder=recorder)
    first, last = recorder.lines
    assert first.startswith("step 1 of phase 'train' (main) is left out: ")
    assert last == ("phase 'train' (main) has left out 3 steps with numbers that are not finite")
