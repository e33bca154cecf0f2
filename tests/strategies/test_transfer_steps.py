"""One optimizer step over sources and a target: what passes through the model, and what counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel
from jlrun.objective.ramps import Linear as LinearRamp
from jlrun.objective.terms.base import TARGET, StepView, Term
from jlrun.objective.weightings import PCGrad
from jlrun.tasks.objective import Objective
from jlrun.training.learner import Learner, build_learner
from jlrun.training.parameter_rules import HEADS, ParameterRule
from jlrun.training.plan import Phase
from jlrun.training.stats import StepStats
from jlrun.training.step import train_step
from tests.toy import (
    CPU,
    TASKS,
    toy_batch,
    toy_model,
    toy_objectives,
    toy_phase,
    toy_recipe,
    toy_rows,
    toy_stream,
)

NORM = "body.trunk.encoders.x.layers.1"


class MeanSquare(Term):
    """A mean over the rows of a stream, as most terms are; remembers the last view."""

    def __init__(self, weight: float = 0.5, stream: str = TARGET) -> None:
        super().__init__()
        self.weight = weight
        self.stream = stream
        self.seen: StepView | None = None

    def forward(self, view: StepView) -> Tensor:
        self.seen = view
        if self.stream not in view.outputs:
            return next(iter(view.outputs.values())).fused.new_zeros(())
        outputs = view.outputs[self.stream]
        return (
            outputs.fused.square().sum() + sum(z.square().sum() for z in outputs.logits.values())
        ) / (len(outputs.fused))


def source_batch(count: int = 8) -> Batch:
    return toy_batch(count, seed=0)


def target_batch(count: int = 8) -> Batch:
    """Rows of another distribution, without labels."""
    shifted = {"x": toy_batch(count, seed=1).inputs["x"] * 2 + 3}
    return Batch(inputs=shifted)


def adapt_phase(
    joined: bool = True, terms: Mapping[str, Term] | None = None, **recipe: Any
) -> Phase:
    """A phase that learns from a source and looks at a target, in 20 steps."""
    made = {"term": MeanSquare()} if terms is None else terms
    return replace(
        toy_phase(recipe=replace(toy_recipe(terms=lambda: made), **recipe)),
        train={"source": toy_stream("source"), TARGET: toy_stream(TARGET)},
        objectives=toy_objectives("source"),
        observed=toy_objectives(TARGET)[1:],
        joined=joined,
    )


def without_norm(learner: Learner) -> Learner:
    """Keep BatchNorm in evaluation mode, where rows do not meet."""
    norms = [module for module in learner.model.modules() if isinstance(module, nn.BatchNorm1d)]
    return replace(learner, frozen=tuple(norms))


def step(
    phase: Phase,
    batches: Mapping[str, Batch],
    engine: Engine | None = None,
    number: int = 0,
    rows_meet: bool = False,
) -> tuple[JointModel, StepStats]:
    learner = build_learner(toy_model(dropout=0.0), phase, engine or Engine(CPU))
    learner = learner if rows_meet else without_norm(learner)
    learner.set_lr(1.0)
    return learner.model, train_step(learner, phase, batches, engine or Engine(CPU), number)


def both() -> dict[str, Batch]:
    return {"source": source_batch(), TARGET: target_batch(5)}


def running_mean(joined: bool) -> Tensor:
    model, _ = step(adapt_phase(joined), both(), rows_meet=True)
    return model.state_dict()[f"{NORM}.running_mean"]


def expected_mean(*groups: Tensor) -> Tensor:
    """The running mean after batches of these rows: m ← 0.9 m + 0.1 mean, from 0."""
    layer, mean = toy_model().body.trunk.encoders["x"].layers[0], torch.zeros(6)  # pyright: ignore
    with torch.no_grad():
        for rows in groups:
            mean = 0.9 * mean + 0.1 * layer(rows).mean(dim=0)
    return mean


def test_batch_norm_sees_both_domains_in_one_batch_where_they_are_joined() -> None:
    source, target = (batch.inputs["x"] for batch in both().values())
    torch.testing.assert_close(
        running_mean(joined=True), expected_mean(torch.cat([source, target]))
    )
    torch.testing.assert_close(running_mean(joined=False), expected_mean(source, target))
    assert not torch.allclose(running_mean(joined=True), running_mean(joined=False))


def assert_equal_steps(
    one: tuple[JointModel, StepStats], two: tuple[JointModel, StepStats]
) -> None:
    for name, tensor in one[0].state_dict().items():
        torch.testing.assert_close(two[0].state_dict()[name], tensor, rtol=0, atol=1e-6, msg=name)
    for name in ("task_losses", "term_losses", "total_loss", "grad_norm"):
        one_value, two_value = getattr(one[1], name), getattr(two[1], name)
        torch.testing.assert_close(two_value, one_value, rtol=1e-5, atol=1e-6, msg=name)


def test_where_rows_do_not_meet_joined_is_split() -> None:
    joined, split = (step(adapt_phase(joined), both()) for joined in (True, False))
    assert_equal_steps(joined, split)
    assert float(joined[1].term_losses[0]) > 0


def test_joined_streams_keep_their_own_heads_and_rows() -> None:
    """The source has both heads, the target one: each sees its own rows' logits."""
    phase = adapt_phase()
    term = MeanSquare()
    phase = replace(phase, recipe=toy_recipe(terms=lambda: {"term": term}))
    step(phase, both())
    assert term.seen is not None
    outputs, model = term.seen.outputs, toy_model(dropout=0.0).eval()
    assert {name: list(found.logits) for name, found in outputs.items()} == {
        "source": ["sign", "largest"],
        TARGET: ["largest"],
    }
    for name, batch in both().items():
        alone = model(batch, list(outputs[name].logits))
        torch.testing.assert_close(outputs[name].fused, alone.fused)
        torch.testing.assert_close(outputs[name].features["x"], alone.features["x"])
        for head, logits in outputs[name].logits.items():
            torch.testing.assert_close(logits, alone.logits[head])


def test_a_missing_modality_of_one_domain_stays_missing_where_they_are_joined() -> None:
    batches = both()
    present = torch.tensor([True, False, True, True, False])
    batches[TARGET] = replace(batches[TARGET], present={"x": present})
    term = MeanSquare()
    phase = replace(adapt_phase(), recipe=toy_recipe(terms=lambda: {"term": term}))
    step(phase, batches)
    assert term.seen is not None
    zero = term.seen.outputs[TARGET].features["x"].eq(0).all(dim=1)
    assert torch.equal(zero, ~present)
    assert not term.seen.outputs["source"].features["x"].eq(0).all(dim=1).any()


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_of_source_and_target_equal_one_batch(parts: int, joined: bool) -> None:
    batches = {"source": source_batch(), TARGET: target_batch(8)}
    whole = step(adapt_phase(joined), batches)
    split = step(adapt_phase(joined), batches, Engine(CPU, accumulate=parts))
    assert_equal_steps(whole, split)


def test_parts_without_a_row_of_the_target_still_train() -> None:
    batches = {"source": source_batch(8), TARGET: target_batch(2)}
    whole = step(adapt_phase(), batches)
    model, stats = step(adapt_phase(), batches, Engine(CPU, accumulate=4))
    torch.testing.assert_close(stats.task_losses, whole[1].task_losses)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_a_stream_without_heads_does_not_pass_through_the_model() -> None:
    term = MeanSquare()
    phase = replace(
        adapt_phase(terms={"term": term}),
        observed=(),
        train={name: toy_stream(name) for name in ("source", TARGET)},
    )
    learner = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
    sizes: list[int] = []
    encoder = learner.model.body.trunk.encoders["x"]  # pyright: ignore
    encoder.register_forward_hook(lambda *call: sizes.append(len(call[2])))
    train_step(learner, phase, both(), Engine(CPU), 0)
    assert sizes == [8]
    assert term.seen is not None
    assert set(term.seen.batches) == {"source", TARGET}
    assert set(term.seen.outputs) == {"source"}


def test_observed_heads_get_no_loss() -> None:
    """Without a term, the target leaves no trace in what is learned."""
    nothing: dict[str, Term] = {}
    observed, stats = step(adapt_phase(joined=False, terms=nothing), both())
    alone = replace(adapt_phase(joined=False, terms=nothing), observed=())
    expected, expected_stats = step(alone, {"source": source_batch()})
    for name, tensor in expected.state_dict().items():
        assert torch.equal(observed.state_dict()[name], tensor), name
    assert torch.equal(stats.task_losses, expected_stats.task_losses)
    assert torch.equal(stats.total_loss, expected_stats.total_loss)


def test_terms_learn_what_only_the_target_has() -> None:
    """A head that is observed and not learned moves by the term alone."""
    phase = replace(adapt_phase(), objectives=toy_objectives("source")[:1])
    before = toy_model().heads["largest"].state_dict()
    moved, _ = step(phase, both())
    still, _ = step(replace(phase, recipe=toy_recipe()), both())
    for name, tensor in moved.heads["largest"].state_dict().items():
        assert not torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in still.heads["largest"].parameters())


@pytest.mark.parametrize("number", [0, 5, 20 - 1])
def test_lambda_and_its_ramp_multiply_terms(number: int) -> None:
    phase = adapt_phase(term_scale=3.0, ramp=LinearRamp(0.0, 2.0))
    assert phase.num_steps == 20
    _, stats = step(phase, both(), number=number)
    _, without = step(adapt_phase(terms={}), both(), number=number)
    strength = 3.0 * 2.0 * number / 20 * 0.5
    expected = without.total_loss + strength * stats.term_losses[0]
    torch.testing.assert_close(stats.total_loss, expected)
    assert float(stats.term_losses[0]) > 0


def test_the_ramp_multiplies_objectives_that_follow_it_and_no_others() -> None:
    source, target = toy_objectives("source")[0], toy_objectives(TARGET)[1]
    phase = replace(
        adapt_phase(terms={}, ramp=LinearRamp()),
        objectives=(source, replace(target, scale=0.5, ramped=True)),
        observed=(),
    )
    batches = {"source": source_batch(), TARGET: toy_batch(seed=1)}
    for number in (0, 10):
        _, stats = step(phase, batches, number=number)
        one, two = stats.task_losses
        torch.testing.assert_close(stats.total_loss, one + 0.5 * number / 20 * two)


def test_a_phase_without_a_task_trains_by_its_terms_alone() -> None:
    """As pretraining without labels: all of the loss is λ α R, and heads stay as they are."""
    batch = replace(source_batch(), views=(source_batch().inputs, source_batch().inputs))

    class OfViews(Term):
        weight = 0.5

        def forward(self, view: StepView) -> Tensor:
            assert not view.outputs
            assert not view.losses
            model = view.model
            assert isinstance(model, JointModel)
            return sum(
                (model.encode(b.view(0)).square().mean() for b in view.batches.values()),
                torch.zeros(()),
            )

    recipe = replace(toy_recipe(terms=lambda: {"term": OfViews()}), term_scale=4.0)
    phase = replace(toy_phase(recipe=recipe), objectives=(), selection=(), val={})
    before = toy_model().state_dict()
    model, stats = step(phase, {"dataset": batch})
    assert stats.task_losses.shape == (0,)
    assert stats.labelled == ()
    torch.testing.assert_close(stats.total_loss, 4.0 * 0.5 * stats.term_losses[0])
    assert float(stats.total_loss) > 0
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert "body.trunk.encoders.x.layers.0.weight" in changed
    assert not any(name.startswith("heads.") for name in changed)


def test_frozen_batch_norm_keeps_its_statistics_and_trains_its_weights() -> None:
    phase = replace(toy_phase(), batch_norm="freeze")
    learner = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
    learner.set_lr(1.0)
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    for number in range(3):
        train_step(learner, phase, {"dataset": toy_batch(seed=number)}, Engine(CPU), number)
    after = learner.model.state_dict()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(after[f"{NORM}.{name}"], before[f"{NORM}.{name}"]), name
    for name in ("weight", "bias"):
        assert not torch.equal(after[f"{NORM}.{name}"], before[f"{NORM}.{name}"]), name


def test_frozen_batch_norm_normalises_by_its_statistics() -> None:
    """Then a row's loss does not depend on the rows beside it."""
    phase = replace(toy_phase(), batch_norm="freeze")
    whole, stats = step(phase, {"dataset": toy_batch()}, rows_meet=True)
    split, split_stats = step(
        phase, {"dataset": toy_batch()}, Engine(CPU, accumulate=4), rows_meet=True
    )
    assert_equal_steps((whole, stats), (split, split_stats))


def test_task_gradients_of_sources_beside_a_target_are_those_of_the_parameters() -> None:
    """Their features are of other rows than the target's, which has no loss."""
    recipe = replace(toy_recipe(PCGrad, terms=lambda: {"term": MeanSquare()}))
    phase = replace(adapt_phase(), recipe=recipe)
    learner = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
    learner.set_lr(0.1)
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    train_step(learner, phase, both(), Engine(CPU), 0)
    assert learner.weighting.tasks == ("sign", "largest")
    assert isinstance(learner.weighting, PCGrad)
    gramian = learner.weighting.last_gramian
    assert gramian.shape == (2, 2)
    assert float(gramian.diagonal().min()) > 0
    assert any(not torch.equal(t, before[n]) for n, t in learner.model.state_dict().items())


def test_what_is_frozen_gets_no_gradient_from_a_term() -> None:
    rules = (ParameterRule("frozen", r"^body\.", 0.0), ParameterRule("head", HEADS, 1.0))
    phase = replace(adapt_phase(), rules=rules)
    model, _ = step(phase, both(), rows_meet=True)
    before = toy_model().state_dict()
    for name, tensor in model.body.state_dict().items():
        assert torch.equal(tensor, before[f"body.{name}"]), name


def test_labels_of_an_observed_stream_are_not_offered_to_terms() -> None:
    term = MeanSquare()
    phase = adapt_phase(terms={"term": term})
    step(phase, {"source": source_batch(), TARGET: toy_batch(seed=1)})
    assert term.seen is not None
    assert dict(term.seen.columns[TARGET]) == {}
    assert term.seen.columns["source"] == {spec.name: spec.name for spec in TASKS}
    assert list(term.seen.losses) == ["sign", "largest"]


def test_two_objectives_on_one_head_share_it() -> None:
    """Sources whose tasks mean the same have one head; each is learned on its own rows."""
    first = Objective("a.sign", "a", TASKS[0], "sign")
    second = replace(first, label="b.sign", stream="b")
    phase = replace(adapt_phase(terms={}), objectives=(first, second), observed=())
    rows = toy_rows(16)
    halves = {
        "a": rows.fetch(torch.arange(8)),
        "b": rows.fetch(torch.arange(8, 16)),
    }
    model, stats = step(phase, halves)
    whole = replace(phase, objectives=(replace(first, scale=2.0),))
    expected, _ = step(whole, {"a": rows.fetch(torch.arange(16))})
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, msg=name)
    assert stats.task_losses.shape == (2,)
