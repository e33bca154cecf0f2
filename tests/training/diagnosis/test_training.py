"""Diagnosis of whole fits: it changes nothing, is resumed exactly, and names who is hurt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from jlrun.data.sampling import RoundRobin
from jlrun.engine import Engine
from jlrun.errors import Interrupted
from jlrun.models import checkpoints
from jlrun.objective.terms import L2
from jlrun.objective.weightings import DWA, MGDA, Equal, PCGrad, Static
from jlrun.objective.weightings.base import GradientOptions
from jlrun.training.diagnosis.conflict import GradientConflict
from jlrun.training.diagnosis.measure import NO_DIAGNOSIS, Diagnosis
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.parameter_rules import body_and_head
from jlrun.training.plan import Fit, Phase
from jlrun.training.recorder import Position, Recorder
from tests.toy import (
    CPU,
    TASKS,
    TIMED,
    StopAt,
    never,
    toy_model,
    toy_objectives,
    toy_phase,
    toy_recipe,
    toy_rows,
    toy_stream,
    toy_surroundings,
)
from tests.training.diagnosis.toys import point_learner, point_phase

EVERY_OTHER = Diagnosis(every=2, affinity=True)
EPOCHS = 2


@dataclass
class Noted(Recorder):
    """Keeps what it is told."""

    values: dict[tuple[int, str], float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        self.values |= {(at.step, tag): value for tag, value in values.items()}

    def message(self, line: str) -> None:
        self.lines.append(line)

    def measured(self) -> dict[tuple[int, str], float]:
        return {
            key: value
            for key, value in self.values.items()
            if key[1].startswith(("gradient/", "affinity/"))
        }


def fitted(
    folder: Path,
    weighting: type = Equal,
    diagnosis: Diagnosis = NO_DIAGNOSIS,
    *,
    engine: Engine | None = None,
    recorder: Recorder | None = None,
    interrupted=never,
    name: str = "main",
    update_every: int = 1,
) -> dict[str, torch.Tensor]:
    """Train the toy with BatchNorm and dropout; return the tensors of its last checkpoint."""
    recipe = toy_recipe(weighting, terms=lambda: {"l2": L2(weight=1e-3)})
    recipe = replace(recipe, gradient_options=GradientOptions(update_every=update_every))
    phase = toy_phase(recipe=recipe, epochs=EPOCHS)
    fit = Fit(name, ("x",), {spec.name: spec for spec in TASKS}, (phase,), toy_objectives())
    context = replace(toy_surroundings(interrupted, engine, recorder), diagnosis=diagnosis)
    streams = {"dataset": toy_stream(rows=toy_rows(seed=2))}
    FitRun(fit, toy_model(), FitFolder(folder, 0.0), context).run(streams, streams)
    return checkpoints.load_tensors(folder / "last")


@pytest.mark.parametrize(
    ("weighting", "source", "accumulate"),
    [
        (Equal, "parameters", 1),
        (Equal, "features", 2),
        (DWA, "parameters", 2),
        (PCGrad, "parameters", 1),
        (MGDA, "features", 2),
    ],
)
def test_a_diagnosed_run_is_the_one_without_bit_for_bit(
    tmp_path: Path, weighting: type, source: str, accumulate: int
) -> None:
    engine = Engine(CPU, accumulate=accumulate)
    what = replace(EVERY_OTHER, gradients=source)  # pyright: ignore[reportArgumentType]
    plain, diagnosed = Noted(), Noted()
    expected = fitted(tmp_path / "off", weighting, engine=engine, recorder=plain)
    found = fitted(tmp_path / "on", weighting, what, engine=engine, recorder=diagnosed)
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    ignored = ("gradient/", *TIMED)
    for key, value in plain.values.items():
        if not key[1].startswith(ignored):
            assert diagnosed.values[key] == value, key


def test_what_was_seen_is_recorded_at_its_interval_and_once(tmp_path: Path) -> None:
    noted = Noted()
    fitted(tmp_path, PCGrad, EVERY_OTHER, recorder=noted)
    steps = {step for step, _ in noted.measured()}
    assert steps == set(range(2, 5 * EPOCHS + 1, 2))
    tags = {tag for _, tag in noted.measured()}
    assert tags == {
        "gradient/cosine/sign-largest",
        *(f"gradient/{kind}/{spec.name}" for kind in ("norm", "descent") for spec in TASKS),
        *(f"affinity/{a.name}/{b.name}" for a in TASKS for b in TASKS),
    }


def test_weightings_of_gradients_record_what_they_saw_without_diagnosis(tmp_path: Path) -> None:
    noted = Noted()
    fitted(tmp_path, PCGrad, recorder=noted)
    steps = {step for step, tag in noted.measured() if tag == "gradient/cosine/sign-largest"}
    assert steps == {3, 5, 8, 10}  # about every three, and at the end of each epoch


@pytest.mark.parametrize("stop", [1, 5])
def test_resumed_weightings_record_what_they_saw_before(tmp_path: Path, stop: int) -> None:
    whole, parts = Noted(), Noted()
    fitted(tmp_path / "whole", PCGrad, recorder=whole, update_every=4)
    with pytest.raises(Interrupted):
        fitted(tmp_path / "parts", PCGrad, recorder=parts, update_every=4, interrupted=StopAt(stop))
    fitted(tmp_path / "parts", PCGrad, recorder=parts, update_every=4)
    assert parts.measured() == whole.measured() != {}


def test_weightings_record_only_tasks_that_met(tmp_path: Path) -> None:
    streams = {name: toy_stream(name) for name in ("first", "second")}
    pairs = zip(toy_objectives(), streams, strict=True)
    objectives = tuple(replace(objective, stream=name) for objective, name in pairs)
    phase = replace(
        toy_phase(recipe=toy_recipe(PCGrad), epochs=1),
        train=streams,
        val=streams,
        objectives=objectives,
        selection=objectives,
        sampling=RoundRobin(),
    )
    fit, noted = Fit("main", ("x",), {s.name: s for s in TASKS}, (phase,), objectives), Noted()
    context = toy_surroundings(recorder=noted)  # records every three steps
    FitRun(fit, toy_model(), FitFolder(tmp_path, 0.0), context).run(streams, streams)
    norms = {4: "largest", 7: "sign", 10: "largest"}
    assert set(noted.measured()) == {(step, f"gradient/norm/{t}") for step, t in norms.items()}


def test_baselines_are_not_diagnosed(tmp_path: Path) -> None:
    noted = Noted()
    fitted(tmp_path, Equal, EVERY_OTHER, recorder=noted, name="scratch")
    assert noted.measured() == {}


@pytest.mark.parametrize("stop", [1, 2, 7])
def test_resumed_measurements_equal_uninterrupted_ones(tmp_path: Path, stop: int) -> None:
    whole, parts = Noted(), Noted()
    fitted(tmp_path / "whole", Equal, EVERY_OTHER, recorder=whole)
    stopped = StopAt(stop)
    with pytest.raises(Interrupted):
        fitted(tmp_path / "parts", Equal, EVERY_OTHER, recorder=parts, interrupted=stopped)
    fitted(tmp_path / "parts", Equal, EVERY_OTHER, recorder=parts)
    assert parts.measured() == whole.measured()


def test_a_phase_in_which_nothing_is_shared_is_told_once(tmp_path: Path) -> None:
    phase, noted = replace(toy_phase(epochs=2), rules=body_and_head(body_lr=0.0)), Noted()
    fit = Fit("main", ("x",), {spec.name: spec for spec in TASKS}, (phase,), toy_objectives())
    context = replace(toy_surroundings(recorder=noted), diagnosis=EVERY_OTHER)
    FitRun(fit, toy_model(), FitFolder(tmp_path, 0.0), context).run(phase.val, phase.val)
    assert noted.lines == ["diagnosis: phase 'train' trains no parameters that its tasks share"]
    assert noted.measured() == {}


def hurt_phase(epochs: int) -> Phase:
    """Return a phase in which `weak` weighs nothing and is pulled away from."""
    phase = point_phase({"strong": (100.0, 0.0), "weak": (-100.0, 0.0)})
    recipe = replace(phase.recipe, make_weighting=lambda tasks: Static(tasks, {"weak": 0.0}))
    return replace(phase, recipe=recipe, epochs=epochs)


def hurt_lines(folder: Path, interrupted=never) -> list[str]:
    phase, noted = hurt_phase(2), Noted()
    heads = {o.head: o.spec for o in phase.objectives}
    fit = Fit("main", ("x",), heads, (phase,), phase.objectives)
    context = toy_surroundings(interrupted, recorder=noted)
    context = replace(context, diagnosis=Diagnosis(every=1))
    model = point_learner(phase, (0.0, 1.0)).model
    run = FitRun(fit, model, FitFolder(folder, 0.0), context)
    try:
        run.run(phase.val, phase.val)
    except Interrupted:
        noted.lines.append("interrupted")
    return noted.lines


WARNING = (
    "warning: 'weak' is hurt: by epoch 1 the update went against its gradient in 5 of the last 5 "
    "measured steps"
)


def test_a_task_that_updates_go_against_is_named_once(tmp_path: Path) -> None:
    assert hurt_lines(tmp_path) == [WARNING]


def test_what_was_counted_or_told_before_an_interruption_counts_after_it(tmp_path: Path) -> None:
    assert hurt_lines(tmp_path / "early", StopAt(3)) == ["interrupted"]
    assert hurt_lines(tmp_path / "early") == [WARNING]
    assert hurt_lines(tmp_path / "late", StopAt(6)) == [WARNING, "interrupted"]
    assert hurt_lines(tmp_path / "late") == []


def test_few_looks_are_counted_together_with_the_next_epochs() -> None:
    gradient_conflict = GradientConflict()
    gradient_conflict.add({"a": -0.1, "b": 0.1})
    assert gradient_conflict.end_epoch(1) == []
    gradient_conflict.add({"a": 0.1, "b": -0.1})
    gradient_conflict.add({"a": -0.1, "b": 0.1})
    (line,) = gradient_conflict.end_epoch(2)
    assert "'a'" in line
    assert "2 of the last 3" in line
    for _ in range(3):
        gradient_conflict.add({"a": -1.0, "b": 0.0})
    assert gradient_conflict.end_epoch(3) == []  # told before; orthogonal is not opposed
