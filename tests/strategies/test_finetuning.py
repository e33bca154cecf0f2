"""Ways of fine-tuning in training: which parameters move, by how much, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.evaluation.scores import evaluate, predictor
from jlrun.models import checkpoints
from jlrun.models.blocks import blocks
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import is_lora_parameter, merge_lora
from jlrun.strategies import multitask, transfer
from jlrun.strategies.finetuning import LPFT, Finetuning, Full, Gradual, LoRA, Surgical
from jlrun.strategies.plan_parts import PlanContext
from jlrun.strategies.pretraining import with_pretraining
from jlrun.training.averaging import WeightAverage
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder, FitResult
from jlrun.training.learner import build_learner, count_trainable
from jlrun.training.plan import Fit, Plan
from tests.toy import CPU, TASKS, toy_model, toy_recipe, toy_rows, toy_stream, toy_surroundings

BODY = "body.trunk.encoders.x.layers"
LINEAR, NORM = (f"{BODY}.0.weight", f"{BODY}.0.bias"), (f"{BODY}.1.weight", f"{BODY}.1.bias")
STATISTICS = (f"{BODY}.1.running_mean", f"{BODY}.1.running_var", f"{BODY}.1.num_batches_tracked")
HEADS = tuple(n for n in toy_model().state_dict() if n.startswith("heads."))
ADAPTERS = (f"{BODY}.0.lora_a", f"{BODY}.0.lora_b")
EVERYTHING = {*LINEAR, *NORM, *STATISTICS, *HEADS}


def feed(name: str, seed: int) -> LabelledStreams:
    train, val, test = (toy_stream(name, toy_rows(24, seed + i)) for i in range(3))
    return LabelledStreams(name, train, val, test, train, TASKS)


def context(average: bool = False) -> PlanContext:
    recipe = toy_recipe()
    if average:
        recipe = replace(recipe, make_average=lambda: WeightAverage(0.9))
    return PlanContext(recipe, ("x",), 4, baselines=False, blocks=lambda heads: blocks(toy_model()))


def plan_of(finetuning: Finetuning, average: bool = False) -> Plan:
    domains = transfer.Domains((feed("source", 0),), feed("target", 10))
    return transfer.plan_finetune(domains, finetuning, context(average), pretrain_epochs=1)


def begun(fit: Fit) -> JointModel:
    model = toy_model()
    fit.begin(model)
    return model


def run(plan: Plan, path: Path) -> FitResult:
    fit = plan.fits[0]
    around = toy_surroundings()
    return FitRun(fit, begun(fit), FitFolder(path, 0.0), around).run(plan.val, plan.test)


def loaded(path: Path, name: str) -> dict[str, Tensor]:
    return checkpoints.load_tensors(path / name)


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}


WHAT_MOVES: dict[str, tuple[Finetuning, set[str]]] = {
    "full": (Full(), EVERYTHING),
    "head": (Full(body_lr=0.0), {*HEADS}),
    "body": (Full(head_lr=0.0), {*LINEAR, *NORM, *STATISTICS}),
    "frozen statistics": (Full(batch_norm="freeze"), EVERYTHING - {*STATISTICS}),
    "surgical": (Surgical(parameters=r"\.0\.(weight|bias)"), {*LINEAR, *HEADS}),
    "bias": (Surgical(parameters="bias"), {LINEAR[1], NORM[1], *STATISTICS, *HEADS}),
    "lora": (LoRA(rank=2), {*ADAPTERS, *HEADS}),
    "lora without heads": (LoRA(rank=2, head_lr=0.0), {*ADAPTERS}),
}


@pytest.mark.parametrize("case", WHAT_MOVES)
def test_what_moves_on_the_target(case: str, tmp_path: Path) -> None:
    finetuning, expected = WHAT_MOVES[case]
    result = run(plan_of(finetuning), tmp_path)
    before, after = loaded(tmp_path, "pretrain"), loaded(tmp_path, "best")
    assert moved(before, after) == expected
    trained = [n for n in expected if n not in STATISTICS]
    assert result.trainable == sum(after[name].numel() for name in trained)


def test_adapters_wait_at_zero_while_the_source_is_learned(tmp_path: Path) -> None:
    plan = plan_of(LoRA(rank=2))
    run(plan, tmp_path)
    new, source = begun(plan.fits[0]).state_dict(), loaded(tmp_path, "pretrain")
    assert moved(new, source) == EVERYTHING
    assert not source[ADAPTERS[1]].any()
    plain = run(plan_of(Full()), tmp_path / "plain")
    assert plain.parameters == count_trainable(begun(plan.fits[0]), plan.fits[0].phases[0])
    same = loaded(tmp_path / "plain", "pretrain")
    assert all(torch.equal(tensor, source[name]) for name, tensor in same.items())


def test_adapters_wait_at_zero_without_labels_too(tmp_path: Path) -> None:
    domains = feed("dataset", 0)
    plan = multitask.plan((domains,), context())
    before = with_pretraining(plan, (domains,), {"dataset": domains.train}, 1, toy_recipe())
    fit = before.fits[0]
    model = toy_model()
    LoRA(rank=2).begin(model)
    learner = build_learner(model, fit.phases[0], Engine(CPU))
    trained = {id(p) for p in learner.parameters}
    adapters = [p for name, p in model.named_parameters() if is_lora_parameter(name)]
    assert adapters
    assert not any(id(p) in trained for p in adapters)


def test_adapters_merged_score_as_they_do_beside_the_weights(tmp_path: Path) -> None:
    plan = plan_of(LoRA(rank=2))
    result = run(plan, tmp_path)
    model = begun(plan.fits[0])
    checkpoints.load_model(tmp_path / "best", model)
    assert model.state_dict()[ADAPTERS[1]].any()
    merge_lora(model)
    assert set(model.state_dict()) == EVERYTHING
    scores = evaluate(predictor(model, Engine(CPU)), plan.fits[0].scored, plan.test)
    for task, metrics in result.test.items():
        assert scores[task] == pytest.approx(metrics, rel=1e-5)


def test_layer_decay_is_the_rate_of_the_optimizer_s_groups() -> None:
    plan = plan_of(Full(body_lr=0.5, head_lr=2.0, layer_decay=0.5))
    learner = build_learner(begun(plan.fits[0]), plan.fits[0].phases[-1], Engine(CPU))
    learner.set_lr(1.0)
    names = {id(p): name for name, p in learner.model.named_parameters()}
    rates = {
        names[id(p)]: group["lr"]
        for group in learner.optimizer.param_groups
        for p in group["params"]
    }
    # One block, whose normalisation belongs to it, right below the heads: 0.1 · 0.5 · 0.5.
    expected = dict.fromkeys((*LINEAR, *NORM), 0.025) | dict.fromkeys(HEADS, 0.2)
    assert rates == pytest.approx(expected)


def test_the_probe_comes_first_and_its_heads_are_carried_over(tmp_path: Path) -> None:
    plan = plan_of(LPFT(probe_share=0.5))
    assert [phase.name for phase in plan.fits[0].phases] == ["pretrain", "probe", "finetune"]
    run(plan, tmp_path)
    source, probe, tuned = (loaded(tmp_path, name) for name in ("pretrain", "probe", "best"))
    assert moved(source, probe) == {*HEADS}
    assert moved(probe, tuned) == EVERYTHING


def test_parts_thaw_one_after_the_other(tmp_path: Path) -> None:
    plan = plan_of(Gradual(phases=2))
    assert [phase.name for phase in plan.fits[0].phases] == ["pretrain", "unfreeze_0", "finetune"]
    run(plan, tmp_path)
    source, first, last = (loaded(tmp_path, name) for name in ("pretrain", "unfreeze_0", "best"))
    assert moved(source, first) == {*HEADS}
    assert moved(first, last) == EVERYTHING


def test_the_average_is_what_is_scored_and_kept(tmp_path: Path) -> None:
    """The kept weights are not those that train, and give the scores that are reported."""
    plan = plan_of(Full(), average=True)
    result = run(plan, tmp_path)
    model = begun(plan.fits[0])
    checkpoints.load_model(tmp_path / "best", model)
    scores = evaluate(predictor(model, Engine(CPU)), plan.fits[0].scored, plan.test)
    assert {task: dict(metrics) for task, metrics in result.test.items()} == scores
    plain = run(plan_of(Full()), tmp_path / "plain")
    assert plain.test != result.test
    kept = loaded(tmp_path, "pretrain")
    recomputed = trained_average(plan)
    for name, tensor in kept.items():
        torch.testing.assert_close(tensor, recomputed[name], msg=name)


def trained_average(plan: Plan) -> dict[str, Tensor]:
    """The average after the one epoch on the source, from the weights after each step."""
    from jlrun.seeding import seed_everything
    from jlrun.training.step import train_step

    phase, found = plan.fits[0].phases[0], []
    seed_everything(0, phase.name, "learner")
    learner = build_learner(begun(plan.fits[0]), phase, Engine(CPU))
    for number, batch in enumerate(phase.train["source"].batches(0, phase.num_steps)):
        learner.set_lr(phase.recipe.schedule(number, phase.num_steps))
        seed_everything(0, phase.name, number)
        train_step(learner, phase, {"source": batch}, Engine(CPU), number)
        found.append({n: t.detach().clone() for n, t in learner.model.state_dict().items()})
    average = found[0]
    for t, weights in enumerate(found[1:], 1):
        decay = min(0.9, 1 - (1 + t) ** (-2 / 3))
        for name, tensor in weights.items():
            old = average[name]
            average[name] = (
                decay * old + (1 - decay) * tensor if tensor.is_floating_point() else tensor
            )
    return average


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Surgical(parameters="("), r"finetune\.parameters: '\(' is not a regular expr"),
        (lambda: LoRA(parameters="("), r"finetune\.parameters: '\(' is not a regular expression"),
        (
            lambda: LoRA(parameters="nonsense").begin(toy_model()),
            r"finetune\.parameters: 'nonsense' matches no weight",
        ),
        (
            lambda: LoRA(parameters="heads").begin(toy_model()),
            r"finetune\.parameters: 'heads' matches no weight .* of the body",
        ),
        (
            lambda: Surgical(parameters="heads").stages(3, blocks(toy_model())),
            r"finetune\.parameters: 'heads' matches no parameter of the body",
        ),
    ],
)
def test_patterns_that_fit_nothing_are_told(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(UserError, match=message):
        make()
