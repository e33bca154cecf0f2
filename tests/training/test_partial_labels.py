"""Rows, batches and splits without labels of a task: no NaN, and no bias for the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jlrun.data.augmentation.augment import Augment
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.sampling import Proportional, joint_batches
from jlrun.engine import Engine
from jlrun.errors import Interrupted
from jlrun.evaluation.scores import evaluate, predictor
from jlrun.objective.labelled_rows import objective_loss
from jlrun.objective.weightings import GradientWeighting
from jlrun.objective.weightings.base import GradientOptions
from jlrun.strategies.gain import relative_gain
from jlrun.tasks import Multiclass, Regression, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Fit, Phase
from jlrun.training.step import train_step
from tests.objective.weightings.test_battery import NODES, made
from tests.toy import (
    CPU,
    TASKS,
    StopAt,
    never,
    toy_batch,
    toy_model,
    toy_objectives,
    toy_recipe,
    toy_rows,
    toy_stream,
    toy_surroundings,
)

SIGN, LARGEST = TASKS
STREAMS = {"left": toy_stream("left", toy_rows(24)), "right": toy_stream("right", toy_rows(72, 1))}


def plain_sgd(groups: list[dict]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1)


def two_streams(weighting: str = "equal", epochs: int = 2) -> Phase:
    """The sign is labelled on the left, the largest on the right; one of them in each step."""
    objectives = (
        Objective("sign", "left", SIGN, "sign"),
        Objective("largest", "right", LARGEST, "largest"),
    )
    method = made(weighting)
    sources = method.sources if isinstance(method, GradientWeighting) else ("features",)
    recipe = replace(
        toy_recipe(lambda tasks: made(weighting, tasks)),
        make_optimizer=plain_sgd,
        gradient_options=GradientOptions(gradients=sources[-1]),
    )
    return Phase(
        name="train",
        train=STREAMS,
        val=STREAMS,
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=recipe,
        sampling=Proportional(),
    )


def body_and_heads(learner: Learner) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in learner.model.named_parameters()}


@pytest.mark.parametrize("name", NODES)
def test_a_step_without_a_task_leaves_its_head_alone_and_all_finite(name: str) -> None:
    """One stream in each step, for every weighting."""
    phase, engine = two_streams(name), Engine(CPU)
    learner = build_learner(toy_model(), phase, engine)
    other = {"left": "heads.largest", "right": "heads.sign"}
    moved = set()
    for number, batches in enumerate(joint_batches(STREAMS, phase.sampling, 0, 24, 0)):
        (stream,) = batches
        before = body_and_heads(learner)
        torch.manual_seed(number)
        stats = train_step(learner, phase, batches, engine, number)
        after = body_and_heads(learner)
        assert [n > 0 for n in stats.labelled] == [stream == "left", stream == "right"]
        for key, value in after.items():
            assert torch.isfinite(value).all(), key
            if key.startswith(other[stream]):
                assert torch.equal(value, before[key])
            elif not torch.equal(value, before[key]):
                moved.add(key.split(".")[0])
        if (number + 1) % phase.steps_per_epoch == 0:
            learner.weighting.end_epoch()
    assert moved == {"body", "heads"}


def test_one_stream_in_each_step_moves_the_model_as_that_stream_alone() -> None:
    phase, engine = two_streams(), Engine(CPU)
    (own,) = (o for o in phase.objectives if o.stream == "right")
    alone = replace(phase, objectives=(own,), selection=(own,), train={"right": STREAMS["right"]})
    ends = []
    for tried in (phase, alone):
        learner = build_learner(toy_model(), tried, engine)
        torch.manual_seed(0)
        train_step(learner, tried, {"right": toy_batch()}, engine, 0)
        ends.append(body_and_heads(learner))
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


@pytest.mark.parametrize("stop", [1, 5, 12, 17, 23])
def test_a_fit_on_turns_that_is_stopped_and_resumed_equals_the_whole(
    stop: int, tmp_path: Path
) -> None:
    phase = two_streams("dwa")
    heads = {spec.name: spec for spec in TASKS}
    fit = Fit("main", ("x",), heads, (phase,), phase.objectives)
    assert phase.num_steps == 24

    def run(folder: str, interrupted=never):
        context = toy_surroundings(interrupted)
        fitting = FitRun(fit, toy_model(), FitFolder(tmp_path / folder, 0.0), context)
        return fitting.model, fitting.run(STREAMS, STREAMS)

    model, whole = run("whole")
    with pytest.raises(Interrupted):
        run("parts", StopAt(stop))
    resumed, parts = run("parts")
    assert parts.test == whole.test
    assert parts.samples == whole.samples == 2 * (24 + 72)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("augment", [Augment(mixup=0.5), Augment(cutmix=0.5)])
def test_filler_of_rows_without_a_label_is_never_looked_at(augment: Augment) -> None:
    """Not even where rows are mixed: NaN and -1 stand for no label."""
    known = torch.arange(32) % 3 > 0
    age = torch.where(known, torch.randn(32, generator=torch.Generator().manual_seed(0)), torch.nan)
    kind = torch.where(known, torch.arange(32) % 4, -1)
    batch = augment(
        Batch(
            {"image": torch.rand(32, 1, 4, 4)},
            {"age": age, "kind": kind},
            labelled={"age": known, "kind": known},
        ),
        torch.Generator().manual_seed(1),
    )
    assert batch.mix_weight is not None
    assert bool((batch.mix_weight[known] < 1).any())
    for spec, logits in (
        (TaskSpec("age", Regression(), ()), torch.zeros(32, 1, requires_grad=True)),
        (TaskSpec("kind", Multiclass(), tuple("abcd")), torch.zeros(32, 4, requires_grad=True)),
    ):
        total, count = objective_loss(Objective(spec.name, "s", spec, "h"), logits, batch)
        (gradient,) = torch.autograd.grad(total, logits)
        assert int(count) == int(known.sum())
        assert torch.isfinite(total)
        assert torch.isfinite(gradient).all()
        assert not gradient[~known].any()


def test_a_split_without_labels_of_a_task_has_no_score_and_no_gain_of_it() -> None:
    mask = torch.zeros(40).bool()
    rows = toy_rows()
    hidden = TensorRows(
        dict(rows.fetch(torch.arange(40)).inputs), rows.targets, labelled={"largest": mask}
    )
    stream = {"dataset": toy_stream(rows=hidden)}
    scores = evaluate(predictor(toy_model(), Engine(CPU)), toy_objectives(), stream)
    assert list(scores) == ["sign"]
    gain = relative_gain(scores, scores, TASKS, {"sign": 40, "largest": 0})
    assert gain["per_task"] == {"sign": 0.0}
    assert gain["delta_m_percent"] == 0.0
