"""One optimizer step: accumulation, missing labels, mixing, frozen parts."""

import math
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.objective.labelled_rows import objective_loss
from jlrun.objective.terms import L2, Term
from jlrun.objective.terms.base import StepView
from jlrun.objective.weightings import Equal, PCGrad, Uncertainty, Weighting
from jlrun.objective.weightings.base import GradientOptions
from jlrun.training.learner import build_learner
from jlrun.training.parameter_rules import body_and_head
from jlrun.training.step import NotFinite, train_step
from tests.toy import (
    CPU,
    TASKS,
    AheadEngine,
    toy_batch,
    toy_model,
    toy_objectives,
    toy_phase,
    toy_recipe,
    toy_rows,
)


def step(engine: Engine, batch: Batch, phase=None):
    model = toy_model(dropout=0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 0.0  # statistics of parts differ from those of the whole
            module.eval()
    phase = phase or toy_phase()
    learner = build_learner(model, phase, engine)
    learner = replace(learner, frozen=tuple(m for m in model.modules() if "Norm" in str(type(m))))
    learner.set_lr(1.0)
    stats = train_step(learner, phase, {"dataset": batch}, engine, 0)
    return model, stats


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_micro_batches_equal_one_batch(parts: int) -> None:
    whole, stats = step(Engine(CPU), toy_batch())
    split, split_stats = step(Engine(CPU, accumulate=parts), toy_batch())
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], tensor, msg=name)
    torch.testing.assert_close(split_stats.task_losses, stats.task_losses)
    torch.testing.assert_close(split_stats.total_loss, stats.total_loss)


def test_parts_of_unequal_size_count_by_their_rows() -> None:
    whole, _ = step(Engine(CPU), toy_batch(7))
    split, _ = step(Engine(CPU, accumulate=3), toy_batch(7))
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], tensor, msg=name)


def test_rows_without_a_label_count_for_the_other_task_only() -> None:
    batch = toy_batch()
    mask = torch.arange(8) < 5
    hidden = replace(
        batch,
        labelled={"largest": mask},
        targets={**batch.targets, "largest": batch.targets["largest"].masked_fill(~mask, -1)},
    )
    _, stats = step(Engine(CPU), hidden)
    model = toy_model(dropout=0.0).eval()
    with torch.no_grad():
        logits = model(batch).logits["largest"][:5]
    expected = torch.nn.functional.cross_entropy(logits, batch.targets["largest"][:5])
    torch.testing.assert_close(stats.task_losses[1], expected)


def test_a_task_without_any_label_gives_zero_and_finite_gradients() -> None:
    hidden = replace(toy_batch(), labelled={"largest": torch.zeros(8).bool()})
    model, stats = step(Engine(CPU), hidden)
    assert [n > 0 for n in stats.labelled] == [True, False]
    assert float(stats.task_losses[1]) == 0.0
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def test_mixed_rows_have_the_loss_of_both_targets() -> None:
    objective, batch = toy_objectives()[1], toy_batch(4)
    other = batch.targets["largest"].flip(0)
    weight = torch.tensor([1.0, 0.75, 0.5, 0.0])
    mixed = replace(batch, mixed_targets={"largest": other}, mix_weight=weight)
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    total, count = objective_loss(objective, logits, mixed)
    soft = torch.nn.functional.one_hot(batch.targets["largest"], 4) * weight[:, None]
    soft = soft + torch.nn.functional.one_hot(other, 4) * (1 - weight[:, None])
    torch.testing.assert_close(total / 4, torch.nn.functional.cross_entropy(logits, soft))
    assert float(count) == 4


def test_a_frozen_body_is_unchanged_and_its_statistics_too() -> None:
    model = toy_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    phase = replace(toy_phase(), rules=body_and_head(body_lr=0.0))
    learner = build_learner(model, phase, Engine(CPU))
    learner.set_lr(1.0)
    for seed in range(3):
        train_step(learner, phase, {"dataset": toy_batch(seed=seed)}, Engine(CPU), 0)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("body."), name


def test_a_group_learns_at_its_own_rate() -> None:
    phase = replace(toy_phase(), rules=body_and_head(body_lr=0.5, head_lr=2.0))
    learner = build_learner(toy_model(), phase, Engine(CPU))
    learner.set_lr(0.1)
    rates = {group["name"]: group["lr"] for group in learner.optimizer.param_groups}
    assert rates == pytest.approx({"body": 0.005, "head": 0.02})


def test_terms_are_added_with_their_strengths() -> None:
    recipe = replace(toy_recipe(terms=lambda: {"l2": L2(weight=0.5)}), term_scale=3.0)
    _, without = step(Engine(CPU), toy_batch())
    _, stats = step(Engine(CPU), toy_batch(), toy_phase(recipe=recipe))
    torch.testing.assert_close(
        stats.total_loss, without.total_loss + 3.0 * 0.5 * stats.term_losses[0]
    )


def test_clipping_bounds_the_step_and_reports_the_norm_before() -> None:
    model, stats = step(Engine(CPU, clip_norm=1e-3), toy_batch())
    norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    assert float(torch.stack(norms).norm()) <= 1.001e-3
    assert float(stats.grad_norm) > 1e-2


def test_bf16_steps_stay_close_to_fp32() -> None:
    _, exact = step(Engine(CPU), toy_batch())
    _, rough = step(Engine(CPU, precision="bf16"), toy_batch())
    torch.testing.assert_close(rough.task_losses, exact.task_losses, atol=0.05, rtol=0.05)


def test_toy_tasks_are_what_the_rows_are_labelled_for() -> None:
    assert {spec.name for spec in TASKS} == set(toy_rows().targets)


def test_an_objectives_scale_counts_in_the_gradient_and_not_in_the_records() -> None:
    phase = toy_phase()
    scaled = replace(phase, objectives=tuple(replace(o, scale=0.5) for o in phase.objectives))
    _, plain = step(Engine(CPU), toy_batch(), phase)
    _, half = step(Engine(CPU), toy_batch(), scaled)
    torch.testing.assert_close(half.task_losses, plain.task_losses)
    torch.testing.assert_close(half.total_loss, plain.total_loss / 2)
    torch.testing.assert_close(half.grad_norm, plain.grad_norm / 2)


def test_the_weighting_knows_tasks_by_the_users_names() -> None:
    phase = toy_phase()
    labelled = tuple(replace(o, label=f"source.{o.label}") for o in phase.objectives)
    learner = build_learner(toy_model(), replace(phase, objectives=labelled), Engine(CPU))
    assert learner.weighting.tasks == ("sign", "largest")
    both = replace(phase, objectives=(*phase.objectives, *labelled))
    learner = build_learner(toy_model(), both, Engine(CPU))
    assert learner.weighting.tasks == ("sign", "largest", "source.sign", "source.largest")


@pytest.mark.parametrize("labels", [[0], [0, 1, 2], [7]])
def test_micro_batches_with_few_labels_equal_one_batch(labels: list[int]) -> None:
    mask = torch.zeros(8, dtype=torch.bool)
    mask[labels] = True
    batch = replace(toy_batch(), labelled={"largest": mask})
    phase = toy_phase(recipe=toy_recipe(Uncertainty))
    whole, stats = step(Engine(CPU), batch, phase)
    split, split_stats = step(Engine(CPU, accumulate=4), batch, phase)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], tensor, msg=name)
    torch.testing.assert_close(split_stats.task_losses, stats.task_losses)


def test_micro_batches_of_two_streams_equal_one_batch() -> None:
    objectives = toy_objectives("source")[:1] + toy_objectives("target")[1:]
    phase = replace(toy_phase(), objectives=objectives)
    batches = {"source": toy_batch(8), "target": toy_batch(2, seed=1)}
    models = []
    for engine in (Engine(CPU), Engine(CPU, accumulate=4)):
        model = toy_model(dropout=0.0)
        learner = build_learner(model, phase, engine)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        learner = replace(learner, frozen=tuple(norms))
        learner.set_lr(1.0)
        train_step(learner, phase, batches, engine, 0)
        models.append(model.state_dict())
    for name, tensor in models[0].items():
        torch.testing.assert_close(models[1][name], tensor, msg=name)


def test_gradients_of_tasks_on_two_streams_are_those_of_the_parameters() -> None:
    objectives = (toy_objectives("source")[0], replace(toy_objectives("target")[0], label="t"))
    recipe = toy_recipe(PCGrad)
    phase = replace(toy_phase(recipe=recipe), objectives=objectives)
    learner = build_learner(toy_model(), phase, Engine(CPU))
    learner.set_lr(0.0)
    batches = {"source": toy_batch(8), "target": toy_batch(8)}
    train_step(learner, phase, batches, Engine(CPU), 0)
    assert isinstance(learner.weighting, PCGrad)
    assert float(learner.weighting.last_gramian[0, 1]) != 0.0


@pytest.mark.parametrize("source", ["features", "parameters"])
def test_a_frozen_body_stays_as_it_is_under_task_gradients(source: str) -> None:
    gradient_options = GradientOptions(gradients=source)  # pyright: ignore[reportArgumentType]
    recipe = replace(toy_recipe(PCGrad), gradient_options=gradient_options)
    phase = replace(toy_phase(recipe=recipe), rules=body_and_head(body_lr=0.0))
    learner = build_learner(toy_model(), phase, Engine(CPU))
    before = {name: tensor.clone() for name, tensor in learner.model.body.state_dict().items()}
    learner.set_lr(0.1)
    train_step(learner, phase, {"dataset": toy_batch()}, Engine(CPU), 0)
    after = learner.model.body.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is not None for p in learner.model.heads.parameters())


class Kinked(Term):
    """Zero, with a gradient that is not a number: the root's slope at 0 is infinite."""

    weight = 1.0

    def forward(self, view: StepView) -> Tensor:
        return (next(view.model.parameters()) * 0).sum().sqrt()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("weighting", [Equal, PCGrad])
@pytest.mark.parametrize("what", ["the loss of 'sign'", "the gradient"])
def test_what_is_not_finite_is_refused_before_anything_moves(
    what: str, weighting: type[Weighting], accumulate: int
) -> None:
    terms = {"kinked": Kinked()} if "gradient" in what else {}
    phase = toy_phase(recipe=toy_recipe(weighting, lambda: terms))
    learner, batch = build_learner(toy_model(), phase, Engine(CPU)), toy_batch()
    learner.set_lr(0.1)
    if "sign" in what:
        batch.inputs["x"][0, 0] = float("nan")
    before = {name: p.clone() for name, p in learner.model.named_parameters()}
    with pytest.raises(NotFinite, match=f"^{what} is not a finite number$"):
        train_step(learner, phase, {"dataset": batch}, Engine(CPU, accumulate=accumulate), 0)
    assert all(torch.equal(before[name], p) for name, p in learner.model.named_parameters())
    assert not learner.optimizer.state


class Readings(TorchDispatchMode):
    """Counts how often a number is read from the device, which waits for it there."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("terms", [dict, lambda: {"l2": L2()}])
def test_a_step_reads_nothing_from_a_device_that_runs_ahead(terms, clip_norm) -> None:
    phase = toy_phase(recipe=toy_recipe(terms=terms))
    engine = AheadEngine(CPU, clip_norm=clip_norm)
    learner = build_learner(toy_model(), phase, engine)
    train_step(learner, phase, {"dataset": toy_batch()}, engine, 0)  # caches are empty before
    with Readings() as readings, mock.patch.object(Tensor, "tolist", side_effect=AssertionError):
        stats = train_step(learner, phase, {"dataset": toy_batch()}, engine, 1)
    assert readings.count == 0
    assert all(math.isfinite(number) for number in stats.numbers)


def test_what_a_step_measured_is_one_tensor_in_a_fixed_order() -> None:
    phase = toy_phase(recipe=toy_recipe(terms=lambda: {"l2": L2()}))
    _, stats = step(Engine(CPU), toy_batch(), phase)
    sums = 8 * stats.task_losses
    expected = [stats.total_loss, stats.grad_norm, *sums, *stats.term_losses]
    assert stats.numbers == pytest.approx([float(number) for number in expected])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_on_a_gpu_does_not_wait(precision) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    engine = Engine(torch.device("cuda"), precision=precision)
    phase, model = toy_phase(), toy_model().to(engine.device)
    learner, batch = build_learner(model, phase, engine), toy_batch().to(engine.device)
    for number in range(2):  # caches are empty before
        train_step(learner, phase, {"dataset": batch}, engine, number)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        stats = train_step(learner, phase, {"dataset": batch}, engine, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(math.isfinite(number) for number in stats.numbers)
