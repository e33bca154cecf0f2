"""Gains and their errors from simulated predictions: noise is called noise, effects are found."""

from __future__ import annotations

import pytest
import torch

from jlrun.evaluation.bootstrap import critical, kind_of
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.strategies.gain import relative_gain
from jlrun.strategies.gain_statistics import task_gain, with_statistics
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from jlrun.tasks.metrics.accumulators import regression_scores
from tests.evaluation.test_weighted_scores import scores_of

TASKS: dict[str, tuple[Task, tuple[str, ...]]] = {
    "multiclass": (Multiclass(), ("a", "b", "c")),
    "binary": (Binary(metric="auroc"), ("no", "yes")),
    "multilabel": (Multilabel(), ("a", "b", "c")),
    "regression": (Regression(), ()),
}


def pair_of(
    name: str, seed: int, strengths: tuple[float, float]
) -> tuple[RowPredictions, RowPredictions]:
    """Return predictions of 60 rows by two models, larger where the target is."""
    g = torch.Generator().manual_seed(seed)
    task, classes = TASKS[name]
    n, width = 60, task.num_outputs(classes)
    if name == "multiclass":
        target = torch.randint(3, (n,), generator=g)
        y = torch.nn.functional.one_hot(target, 3).double()
    elif name == "regression":
        target = torch.randn(n, generator=g).double()
        y = target[:, None]
    else:
        y = (torch.rand(n, width, generator=g) > 0.6).double()
        target = y.float() if name == "multilabel" else y[:, 0].long()
    noise = torch.randn(3, n, width, generator=g).double()
    logits = (s * y + noise[i] + noise[2] - s / 2 for i, s in enumerate(strengths))
    first, second = (RowPredictions(task.probabilities(z), target) for z in logits)
    return first, second


def kind(name: str, seed: int, strengths: tuple[float, float]) -> str:
    task, classes = TASKS[name]
    spec, pair = TaskSpec("t", task, classes), pair_of(name, seed, strengths)
    main, baseline = ({"t": scores_of(task, rows)} for rows in pair)
    found = task_gain(spec, main, baseline, pair, seed)
    assert found is not None
    percent = sum(found.per_metric.values()) / len(found.per_metric)
    return kind_of(percent, found.error, critical(found.rows))


@pytest.mark.parametrize("name", TASKS)
def test_noise_is_called_noise(name: str) -> None:
    kinds = [kind(name, seed, (1.0, 1.0)) for seed in range(60)]
    # Of 60 at 5 %, more than 8 come by chance in fewer than 1 of 200 trials.
    assert sum(k in ("won", "lost") for k in kinds) <= 8


@pytest.mark.parametrize("name", ["multiclass", "binary", "multilabel"])
def test_a_large_effect_is_found(name: str) -> None:
    assert [kind(name, seed, (5.0, 0.5)) for seed in range(10)] == ["won"] * 10


def test_near_zero_r2_differs_in_units_of_the_spread() -> None:
    """A difference of 0.003 is no gain of 16 %, as −0.016 against −0.019 would be."""
    g = torch.Generator().manual_seed(0)
    target = torch.randn(20, generator=g).double()
    flat = torch.full((20, 1), float(target.mean()) + 0.1).double()
    pair = RowPredictions(flat - 0.02, target), RowPredictions(flat, target)
    ours, theirs = ({"t": regression_scores(r.probabilities[:, 0], target)} for r in pair)
    spec = TaskSpec("t", Regression(), ())
    found = task_gain(spec, ours, theirs, pair, seed=0)
    assert found is not None
    assert found.spreads["r2"] > abs(theirs["t"]["r2"])
    difference = ours["t"]["r2"] - theirs["t"]["r2"]
    assert found.per_metric["r2"] == pytest.approx(100 * difference / found.spreads["r2"])
    gain = with_statistics(relative_gain(ours, theirs, [spec], {"t": 20}), {"t": found}, [spec])
    assert gain["per_task"]["t"] == found.per_metric["r2"]
    assert (gain["kind"]["t"] == "lost") == ("t" in gain["negative_transfer"])


def test_an_interval_contains_zero_just_where_a_gain_of_several_tasks_is_noise() -> None:
    tasks = [TaskSpec(f"t{i}", *TASKS["binary"]) for i in range(3)]
    seen = set[bool]()
    for strength in (1.0, 1.6, 2.2, 2.8, 5.0):
        pairs = [pair_of("binary", seed, (strength, 1.0)) for seed in range(3)]
        ours, theirs = (
            {
                spec.name: scores_of(spec.task, pair[i])
                for spec, pair in zip(tasks, pairs, strict=True)
            }
            for i in (0, 1)
        )
        found = {
            spec.name: task_gain(spec, ours, theirs, pair, seed=0)
            for spec, pair in zip(tasks, pairs, strict=True)
        }
        known = {name: each for name, each in found.items() if each is not None}
        gain = with_statistics(
            relative_gain(ours, theirs, tasks, dict.fromkeys(known, 60)), known, tasks
        )
        for name, (low, high) in gain["interval"].items():
            assert (low <= 0 <= high) == (gain["kind"][name] == "noise")
            seen.add(low <= 0 <= high)
    assert seen == {True, False}
