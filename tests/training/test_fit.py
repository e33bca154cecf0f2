"""Fits: exact resume from anywhere, honest selection, phases that carry weights over."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from jlrun.data.sampling import joint_batches
from jlrun.errors import Interrupted, RunError
from jlrun.models import checkpoints
from jlrun.objective.terms import L2
from jlrun.objective.weightings import DWA, Equal, PCGrad, Uncertainty
from jlrun.training import loop, spans
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder, FitResult
from jlrun.training.parameter_rules import body_and_head
from jlrun.training.plan import Fit, Phase
from jlrun.training.state import Best
from tests.toy import (
    TASKS,
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

NUM_STEPS = 5 * 3 + 5 * 4  # of the two phases below


def two_phases(weighting=Equal) -> tuple[Phase, ...]:
    recipe = toy_recipe(weighting, terms=lambda: {"l2": L2(weight=1e-3)})
    first = toy_phase("pretrain", recipe, epochs=3)
    second = replace(toy_phase("finetune", recipe, epochs=4), rules=body_and_head(0.5, 2.0))
    return first, second


def fit_of(phases: tuple[Phase, ...]) -> Fit:
    heads = {spec.name: spec for spec in TASKS}
    return Fit("main", ("x",), heads, phases, toy_objectives())


def run(fit: Fit, path: Path, interrupted=never) -> FitResult:
    streams = {"dataset": toy_stream(rows=toy_rows(seed=2))}
    fit_run = FitRun(fit, toy_model(), FitFolder(path, 0.0), toy_surroundings(interrupted))
    return fit_run.run(streams, streams)


def outcome(result: FitResult) -> str:
    """Return a result as text, in which what is not a number equals itself."""
    return repr({name: value for name, value in asdict(result).items() if name != "seconds"})


@pytest.mark.parametrize("weighting", [Equal, Uncertainty, DWA, PCGrad])
def test_interrupted_anywhere_and_resumed_equals_uninterrupted(
    tmp_path: Path, weighting: type
) -> None:
    fit = fit_of(two_phases(weighting))
    expected = outcome(run(fit, tmp_path / "whole"))
    for stop in (1, 4, 5, 14, 15, 16, 27, NUM_STEPS - 1, NUM_STEPS):
        resumed = tmp_path / str(stop)
        with pytest.raises(Interrupted):
            run(fit, resumed, StopAt(stop))
        assert outcome(run(fit, resumed)) == expected, stop
        for name in ("best", "last", "pretrain"):
            whole = checkpoints.load_tensors(tmp_path / "whole" / name)
            parts = checkpoints.load_tensors(resumed / name)
            assert all(torch.equal(tensor, parts[key]) for key, tensor in whole.items()), (
                f"{name}, interrupted after {stop}"
            )


def test_interrupted_again_and_again_equals_uninterrupted(tmp_path: Path) -> None:
    fit = fit_of(two_phases(DWA))
    expected = run(fit, tmp_path / "whole")
    for _ in range(NUM_STEPS):
        with pytest.raises(Interrupted):
            run(fit, tmp_path / "parts", StopAt(1))
    assert outcome(run(fit, tmp_path / "parts")) == outcome(expected)


def test_the_second_phase_starts_from_the_selected_weights_of_the_first(tmp_path: Path) -> None:
    first, second = two_phases()
    frozen = replace(second, rules=body_and_head(0.0, 0.0 + 1e-30))
    run(fit_of((first, frozen)), tmp_path)
    before = checkpoints.load_tensors(tmp_path / "pretrain")
    after = checkpoints.load_tensors(tmp_path / "best")
    assert all(torch.equal(before[name], after[name]) for name in before if "encoders" in name)


def test_a_complete_fit_is_not_trained_again(tmp_path: Path) -> None:
    fit = fit_of(two_phases())
    expected = run(fit, tmp_path)
    assert FitFolder(tmp_path, 0.0).result() == expected


def test_selection_takes_the_best_validation_epoch_not_the_last(tmp_path: Path) -> None:
    # A learning rate that ruins the model after the first epochs.
    phase = toy_phase(epochs=6)
    ruin = replace(phase.recipe, schedule=lambda step, num_steps: 1.0 if step < 15 else 1e3)
    result = run(fit_of((replace(phase, recipe=ruin),)), tmp_path)
    assert result.selected["epoch"] <= 3


def test_patience_ends_a_phase_early_and_stays_ended_on_resume(tmp_path: Path) -> None:
    still = replace(toy_recipe(patience=2), schedule=lambda step, num_steps: 0.0)
    phase = replace(toy_phase(epochs=20, recipe=still), rules=body_and_head(0.0, 1.0))
    result = run(fit_of((phase,)), tmp_path / "whole")
    assert result.steps == 3 * phase.steps_per_epoch
    with pytest.raises(Interrupted):
        run(fit_of((phase,)), tmp_path / "parts", StopAt(2 * phase.steps_per_epoch))
    assert outcome(run(fit_of((phase,)), tmp_path / "parts")) == outcome(result)


def test_a_loss_that_is_not_finite_names_the_task_and_keeps_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    phase = toy_phase(epochs=4)
    burst = replace(
        phase.recipe, schedule=lambda step, num_steps: float("inf") if step == 12 else 1.0
    )
    with pytest.raises(RunError, match=r"loss of 'sign'.*optimizer\.lr=0\.01"):
        run(fit_of((replace(phase, recipe=burst),)), tmp_path)
    weights = checkpoints.load_tensors(tmp_path / "last")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert FitFolder(tmp_path, 0.0).last_step() == 10


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to …"),
    ],
)
def test_out_of_memory_says_where_and_what_to_try_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    step, calls = spans.train_step, []

    def too_large(*arguments: object) -> object:
        calls.append(None)
        if len(calls) > 7:
            raise error
        return step(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(spans, "train_step", too_large)
    with pytest.raises(RunError, match=r"phase 'pretrain' .*'sign'.* try batch_size=4"):
        run(fit_of(two_phases()), tmp_path)
    assert FitFolder(tmp_path, 0.0).last_step() == 5


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> object:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(spans, "train_step", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        run(fit_of(two_phases()), tmp_path)


def test_divergence_in_the_last_step_of_an_epoch_is_told_and_not_saved(tmp_path: Path) -> None:
    phase = toy_phase(epochs=2)
    burst = replace(
        phase.recipe, schedule=lambda step, num_steps: float("inf") if step == 9 else 1.0
    )
    with pytest.raises(RunError, match="the validation loss of 'sign' is not a finite number"):
        run(fit_of((replace(phase, recipe=burst),)), tmp_path)
    weights = checkpoints.load_tensors(tmp_path / "last")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_any_score_beats_one_that_is_not_a_number() -> None:
    unknown = Best(float("nan"), float("nan"), 1, 1, {})
    assert unknown.beaten_by(0.1, 5.0)
    assert not Best(0.1, 5.0, 1, 1, {}).beaten_by(float("nan"), 0.0)
    assert Best(0.5, float("nan"), 1, 1, {}).beaten_by(0.5, 0.1)


def test_training_time_counts_the_wait_for_data_and_not_the_scoring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def taking(seconds: float, function):
        def slower(*args, **kwargs):
            clock[0] += seconds
            return function(*args, **kwargs)

        return slower

    def slow_batches(*args):
        for batches in joint_batches(*args):
            clock[0] += 10
            yield batches

    monkeypatch.setattr(spans.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(spans, "joint_batches", slow_batches)
    monkeypatch.setattr(spans, "train_step", taking(1, spans.train_step))
    monkeypatch.setattr(loop, "evaluate", taking(1000, loop.evaluate))
    monkeypatch.setattr(spans, "measure_gradients", taking(100, spans.measure_gradients))
    phase = toy_phase(epochs=2)
    result = run(fit_of((phase,)), tmp_path)
    assert result.seconds == 11 * result.steps


def test_each_class_is_counted_on_the_test_split(tmp_path: Path) -> None:
    result = run(fit_of((toy_phase(),)), tmp_path)
    (task,) = [spec for spec in TASKS if spec.name in result.per_class][:1]
    classes = result.per_class[task.name]
    assert tuple(classes) == task.classes
    hits = sum(each["rows"] * each["recall"] for each in classes.values() if each["rows"])
    rows = sum(each["rows"] for each in classes.values())
    assert hits / rows == pytest.approx(result.test[task.name]["accuracy"])
