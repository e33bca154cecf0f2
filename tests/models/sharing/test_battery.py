"""Every option of ``conf/sharing`` passes the same checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.models.fusions import Concat, Fusion, Gated, Late, Sum
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import FeatureSharing
from jlrun.objective.terms import L1, L2, Confidence, FeatureL2, GroupLasso, Orthogonal, TraceNorm
from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.weightings import Equal, GramianWeighting, PCGrad, Weighting
from jlrun.objective.weightings.base import GradientOptions
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Phase
from jlrun.training.step import train_step
from tests.models.sharing.small import (
    FAST,
    NODES,
    NUM_OUTPUTS,
    TASKS,
    batch_of,
    small_model,
    squared,
)
from tests.toy import CPU, toy_batch, toy_phase, toy_recipe
from tests.toy import TASKS as TOY_TASKS

each = pytest.mark.parametrize("option", NODES)
CNN = {"image": "cnn"}
TWO = {"image": "mlp", "text": "words"}


def check_outputs(model: JointModel, batch: Batch) -> None:
    outputs = model(batch)
    assert {t: tuple(x.shape) for t, x in outputs.logits.items()} == {
        task: (batch.size, NUM_OUTPUTS[task]) for task in model.heads
    }
    assert all(x.isfinite().all() for x in outputs.logits.values())
    assert outputs.fused.shape[0] == batch.size
    for modality, features in outputs.features.items():
        assert features.shape[0] == batch.size, modality


def check_gradients(model: JointModel, batch: Batch) -> None:
    model.train().zero_grad(set_to_none=True)
    model.body.begin_step(0.5)
    loss, penalty = squared(model(batch).logits), model.body.penalty()
    (loss if penalty is None else loss + penalty).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without
    wrong = [n for n, p in model.named_parameters() if not p.grad.isfinite().all()]  # pyright: ignore
    assert not wrong


def dropout_of(model: nn.Module, share: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


@each
@pytest.mark.parametrize("encoder", FAST)
@pytest.mark.parametrize("count", [1, 5])
def test_any_encoder_and_batch_size(option: str, encoder: str, count: int) -> None:
    model = small_model(option, {"x": encoder})
    batch = batch_of({"x": encoder}, count)
    check_outputs(model.train(), batch)
    check_gradients(model, batch)
    check_outputs(model.eval(), batch)


@pytest.mark.slow
@each
def test_a_residual_network(option: str) -> None:
    model = small_model(option, {"x": "resnet18"}, tasks=TASKS[:2])
    for count in (1, 3):
        check_gradients(model, batch_of({"x": "resnet18"}, count))


@each
@pytest.mark.parametrize("tasks", [("digit",), TASKS], ids=["one", "three"])
def test_any_number_of_tasks(option: str, tasks: tuple[str, ...]) -> None:
    model = small_model(option, CNN, tasks=tasks)
    check_outputs(model, batch_of(CNN))
    check_gradients(model, batch_of(CNN))


@each
@pytest.mark.parametrize("fusion", [Concat, Gated, Sum, Late])
def test_two_modalities(option: str, fusion: Callable[[Mapping[str, int]], Fusion]) -> None:
    model, batch = small_model(option, TWO, fusion), batch_of(TWO)
    check_outputs(model, batch)
    missing = replace(batch, present={"text": torch.tensor([True, False, True, True, False])})
    check_outputs(model, missing)
    check_gradients(model, missing)
    gone = replace(batch, present={"text": torch.zeros(5).bool()})
    check_outputs(model, gone)
    model.eval()
    one = missing.select(torch.tensor([1]))
    expected = {t: x[1:2] for t, x in model(missing).logits.items()}
    torch.testing.assert_close(model(one).logits, expected)


@each
def test_rows_without_a_modality_do_not_depend_on_its_filler(option: str) -> None:
    model, batch = small_model(option, TWO, Gated).eval(), batch_of(TWO)
    masks = {"image": torch.tensor([True, False, True, True, False])}
    other = batch.inputs["image"].clone()
    other[~masks["image"]] = 7.0
    one = model(replace(batch, present=masks)).logits
    two = model(Batch({**batch.inputs, "image": other}, present=masks)).logits
    torch.testing.assert_close(one, two, rtol=0, atol=0)


@each
def test_double_precision(option: str) -> None:
    model, batch = small_model(option, CNN).eval(), batch_of(CNN)
    single = model(batch).logits
    double = model.double()(Batch({"image": batch.inputs["image"].double()})).logits
    assert all(x.dtype == torch.float64 for x in double.values())
    close = {t: x.float() for t, x in double.items()}
    torch.testing.assert_close(close, single, rtol=1e-4, atol=1e-5)
    check_gradients(model, Batch({"image": batch.inputs["image"].double()}))


@each
def test_half_precision(option: str) -> None:
    model, batch = small_model(option, CNN), batch_of(CNN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check_gradients(model, batch)


@each
def test_state_round_trip(option: str) -> None:
    batch = batch_of(CNN)
    model, other = small_model(option, CNN), small_model(option, CNN, seed=1)
    model(batch)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        other.eval()(batch).logits, model.eval()(batch).logits, rtol=0, atol=0
    )


@each
def test_evaluation_is_deterministic_and_training_draws_from_the_global_generator(
    option: str,
) -> None:
    model, batch = small_model(option, CNN), batch_of(CNN)
    dropout_of(model, 0.5)
    model.eval()
    torch.testing.assert_close(model(batch).logits, model(batch).logits, rtol=0, atol=0)
    model.train()
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(model(batch).logits)
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=0)


@each
def test_some_of_the_tasks_alone_are_as_beside_the_others(option: str) -> None:
    model, batch = small_model(option, CNN).eval(), batch_of(CNN)
    whole, some = model(batch).logits, model(batch, ["size", "digit"]).logits
    assert list(some) == ["size", "digit"]
    torch.testing.assert_close(some, {t: whole[t] for t in some})


@each
def test_rows_are_independent_in_evaluation(option: str) -> None:
    model, batch = small_model(option, {"x": "audio_cnn"}).eval(), batch_of({"x": "audio_cnn"})
    one = model(batch.select(torch.tensor([2]))).logits
    torch.testing.assert_close(one, {t: x[2:3] for t, x in model(batch).logits.items()})


@each
@pytest.mark.parametrize("encoder", ["cnn", "words"])
def test_shared_parameters_are_those_that_several_tasks_train(option: str, encoder: str) -> None:
    model = small_model(option, {"x": encoder})
    logits = model(batch_of({"x": encoder})).logits
    names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    trained = [p for p in model.parameters() if p.requires_grad]
    counts = dict.fromkeys(names.values(), 0)
    for x in logits.values():
        grads = torch.autograd.grad(x.sum(), trained, retain_graph=True, allow_unused=True)
        for name, grad in zip(names.values(), grads, strict=True):
            counts[name] += grad is not None
    said = [names[id(p)] for p in model.body.shared_parameters()]
    assert len(said) == len(set(said))
    assert set(said) == {name for name, count in counts.items() if count > 1}


@each
def test_the_cut_graph_gives_the_same_outputs_and_gradients(option: str) -> None:
    model, batch = small_model(option, CNN).eval(), batch_of(CNN)
    if not isinstance(model.body, FeatureSharing):
        pytest.skip("has no features that all tasks have in common")
    whole = model(batch)
    cut = model.body.cut(whole.fused, TASKS)
    logits = model.outputs(whole.features, whole.fused, cut.by_task).logits
    torch.testing.assert_close(logits, dict(whole.logits))
    for task in TASKS:
        expected = torch.autograd.grad(whole.logits[task].sum(), whole.fused, retain_graph=True)
        found = torch.autograd.grad(logits[task].sum(), cut.leaves[task], retain_graph=True)
        torch.testing.assert_close(found, expected)


@each
def test_every_term_finds_what_it_looks_at(option: str) -> None:
    terms: list[Term] = [
        Confidence(),
        FeatureL2(),
        GroupLasso(),
        L1(),
        L2(),
        Orthogonal(),
        TraceNorm(),
    ]
    model, batch = small_model(option, CNN), batch_of(CNN)
    tasks = {spec.name: spec.task for spec in TOY_TASKS}
    kinds = dict(zip(TASKS, (tasks["largest"], tasks["sign"], tasks["largest"]), strict=True))
    for term in terms:
        term.check(model)
        view = StepView(model, {"dataset": batch}, {"dataset": model(batch)}, 0.5, kinds)
        assert term(view).isfinite()
    Orthogonal(parameters="encoders").check(model)


class Plain(GramianWeighting):
    """Every weight is 1: the gradient of the sum, by the way of task gradients."""

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return torch.ones(len(gramian), dtype=gramian.dtype)


ROUTES = [
    GradientOptions(gradients, head_grad)
    for gradients in ("features", "parameters")
    for head_grad in ("unweighted", "weighted")
]
routes = pytest.mark.parametrize(
    "gradient_options", ROUTES, ids=lambda r: f"{r.gradients}-{r.head_grad}"
)


def toy_model(option: str) -> JointModel:
    return small_model(option, {"x": "numbers"}, tasks=("sign", "largest"))


def toy_learner(
    option: str,
    weighting: type[Weighting],
    gradient_options: GradientOptions = ROUTES[0],
    lr: float = 1.0,
) -> tuple[Learner, Phase]:
    terms = {"confidence": Confidence(weight=0.1), "feature_l2": FeatureL2(weight=0.1)}
    recipe = replace(toy_recipe(weighting, lambda: terms), gradient_options=gradient_options)
    phase = toy_phase(recipe=recipe)
    learner = build_learner(toy_model(option), phase, Engine(CPU))
    learner.set_lr(lr)
    return learner, phase


def gradients(
    option: str, weighting: type[Weighting], gradient_options: GradientOptions, engine: Engine
) -> dict[str, Tensor]:
    """Return the gradients of everything in a step."""
    learner, phase = toy_learner(option, weighting, gradient_options, lr=0.0)
    torch.manual_seed(5)
    number = phase.num_steps // 2
    train_step(learner, phase, {"dataset": toy_batch()}, engine, number)
    found = learner.model.named_parameters()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in found}


@each
@routes
def test_every_way_to_the_gradients_of_a_sum_leads_there(
    option: str, gradient_options: GradientOptions
) -> None:
    parts = Engine(CPU) if option == "ltb" else Engine(CPU, accumulate=2)  # ltb draws for each part
    expected = gradients(option, Equal, gradient_options, Engine(CPU))
    torch.testing.assert_close(gradients(option, Plain, gradient_options, Engine(CPU)), expected)
    if option not in {"mtan", "ltb"}:  # BatchNorm, and draws, know the parts
        torch.testing.assert_close(gradients(option, Plain, gradient_options, parts), expected)


@each
@routes
def test_steps_with_projected_gradients_are_finite(
    option: str, gradient_options: GradientOptions
) -> None:
    learner, phase = toy_learner(option, PCGrad, gradient_options)
    for number in range(3):
        stats = train_step(learner, phase, {"dataset": toy_batch()}, Engine(CPU), number)
        assert stats.total_loss.isfinite()
        assert 0 < float(stats.grad_norm) < float("inf")
    assert all(p.isfinite().all() for p in learner.model.parameters())


@each
def test_losses_fall(option: str) -> None:
    recipe = replace(toy_recipe(), make_optimizer=lambda groups: torch.optim.Adam(groups, lr=0.01))
    phase = toy_phase(recipe=recipe)
    learner = build_learner(toy_model(option), phase, Engine(CPU))
    losses = []
    for number in range(30):
        torch.manual_seed(number)
        batches = {"dataset": toy_batch(32)}
        stats = train_step(learner, phase, batches, Engine(CPU), number % phase.num_steps)
        losses.append(stats.task_losses)
    before, after = torch.stack(losses[:3]).mean(dim=0), torch.stack(losses[-3:]).mean(dim=0)
    assert (after < before).all()
    assert float(after.sum()) < 0.9 * float(before.sum())


@each
def test_training_goes_on_from_its_state_as_if_it_had_not_stopped(option: str) -> None:
    def train(learner: Learner, phase: Phase, numbers: range) -> dict[str, Tensor]:
        for number in numbers:
            torch.manual_seed(number)
            train_step(learner, phase, {"dataset": toy_batch(seed=number)}, Engine(CPU), number)
        return learner.model.state_dict()

    whole = train(*toy_learner(option, PCGrad), range(6))
    first, phase = toy_learner(option, PCGrad)
    train(first, phase, range(3))
    second, phase = toy_learner(option, PCGrad)
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(train(second, phase, range(3, 6)), whole, rtol=0, atol=0)
