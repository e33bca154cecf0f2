"""Fitness: which runs can train as one, and why others can't."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from torch import nn

from jlrun.data.sampling import All, Alone, RoundRobin
from jlrun.models.fusions import TokenFusion
from jlrun.models.heads import EnsembleHead
from jlrun.models.module_state import batch_norms
from jlrun.models.sharing import Hard
from jlrun.objective.weightings.base import LossWeighting, Weighting
from jlrun.training.spans import Span
from jlrun.training.stacked.optimizer import ELEMENTWISE

# Ways to draw from data sets whose order is the same for all seeds.
ORDERED = (All, RoundRobin, Alone)


def why_not(span: Span) -> str | None:
    """Return in a few words why the steps of a run can't be done with those of others."""
    engine, run = span.context.engine, span.run
    learner = run.learner
    optimizer, weighting = learner.optimizer, learner.weighting
    if engine.precision != "fp32":
        return f"engine.precision={engine.precision} scales or rounds by step"
    if engine.compile:
        return "engine.compile=true compiles the model of one run"
    if engine.recompute:
        return "engine.checkpoint_activations=true computes activations once more"
    if engine.accumulate > 1:
        return f"engine.accumulate={engine.accumulate} divides its batches"
    if engine.skip_nonfinite:
        return f"engine.skip_nonfinite={engine.skip_nonfinite} may leave out its steps"
    if engine.device.type != "cpu":
        return f"it computes on {engine.device}"
    if span.context.diagnosis.every is not None:
        return "diagnosis measures its task gradients"
    if not isinstance(weighting, LossWeighting):
        return f"{type(weighting).__name__} combines task gradients"
    if type(weighting).after_step is not Weighting.after_step:
        return f"{type(weighting).__name__} looks at the losses after a step"
    if learner.balance.acts:
        return f"{type(learner.balance).__name__} balances gradients of modalities"
    if type(optimizer) not in ELEMENTWISE:
        return f"{type(optimizer).__name__} updates parameters of one run only"
    return _why_not_model(span) or _why_not_data(span)


def _why_not_model(span: Span) -> str | None:
    model = span.run.learner.model
    if type(model.body) is not Hard:
        return f"{type(model.body).__name__} shares more than a trunk"
    if isinstance(model.body.trunk.fusion, TokenFusion):
        return f"{type(model.body.trunk.fusion).__name__} attends to tokens"
    if any(isinstance(head, EnsembleHead) for head in model.heads.values()):
        return "its head is an ensemble"
    if batch_norms(model):
        return "BatchNorm normalises by the rows of a batch"
    return None


def _why_not_data(span: Span) -> str | None:
    phase, state = span.run.phase, span.run.state
    if len(phase.train) > 1 and type(phase.sampling) not in ORDERED:
        return f"{type(phase.sampling).__name__} sampling draws data sets in an order of each seed"
    if phase.recipe.modality_dropout.acts:
        return "modality_dropout hides modalities of single rows"
    for name, stream in phase.train.items():
        at = state.step % stream.steps_per_epoch
        batch = next(iter(stream.batches(at, at + 1)))
        if batch.present:
            return f"rows of '{name}' lack modalities"
    return None


def kind_of(span: Span) -> Hashable:
    """Return what runs must have in common to train as one, besides their configs."""
    run = span.run
    learner, phase = run.learner, run.phase
    streams = tuple((name, len(s.rows), s.rows_per_step) for name, s in phase.train.items())
    objectives = tuple((o.label, o.stream, o.head) for o in phase.objectives)
    groups = tuple((g.get("name"), len(g["params"])) for g in learner.optimizer.param_groups)
    return (
        (run.fit, phase.name, run.state.step, phase.steps_per_epoch, phase.num_steps),
        (streams, objectives, type(learner.optimizer), groups, tuple(learner.terms)),
        _shape(learner.model),
    )


def _shape(model: nn.Module) -> Hashable:
    parameters: list[tuple[Any, ...]] = [
        (name, tuple(p.shape), p.requires_grad) for name, p in model.named_parameters()
    ]
    return tuple(parameters), tuple(type(module) for module in model.modules())
