"""Recipe: how phases optimise, from the config; terms with the access to other runs they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from jlrun.config.build import build
from jlrun.config.schema import Settings
from jlrun.config.slots import BALANCE, OPTIMIZER, SCHEDULER, TERM, WEIGHTING
from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.specs import Spec
from jlrun.objective.balance import Balance, NoBalance
from jlrun.objective.ramps import ramp
from jlrun.objective.terms.base import Term
from jlrun.objective.terms.transfer import Distill
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.objective.weightings.base import GradientOptions
from jlrun.runs.saved_model import load_teacher, read_specs
from jlrun.training.averaging import NoAverage, WeightAverage
from jlrun.training.plan import Recipe


def make_modality_dropout(settings: Settings, modalities: Sequence[str]) -> ModalityDropout:
    """Return what rows lose in training."""
    asked = settings.modality_dropout
    return ModalityDropout(asked if isinstance(asked, dict) else dict.fromkeys(modalities, asked))


def make_recipe(settings: Settings, modalities: Sequence[str]) -> Recipe:
    """Return how phases optimise."""
    # In joint transfer λ is the weight of the target instead.
    term_scale = 1.0 if settings.strategy == "joint" else settings.lambda_
    weighting, gradient_options = _divided(settings.weighting)
    return Recipe(
        make_optimizer=lambda groups: build(settings.optimizer, OPTIMIZER, groups),
        make_weighting=lambda tasks: build(weighting, WEIGHTING, tasks),
        make_terms=lambda: make_terms(settings.terms),
        schedule=build(settings.scheduler, SCHEDULER),
        term_scale=term_scale,
        ramp=ramp(settings.lambda_ramp),
        make_average=NoAverage
        if settings.ema is None
        else lambda decay=settings.ema: WeightAverage(decay),
        patience=settings.patience,
        modality_dropout=make_modality_dropout(settings, modalities),
        gradient_options=gradient_options,
        make_balance=NoBalance if settings.balance is None else balance_maker(settings.balance),
    )


def balance_maker(node: Mapping[str, Any]) -> Callable[[], Balance]:
    """Return what makes the balance; it makes its weightings itself, one for each encoder."""
    parts = {
        key: lambda tasks, part=node[key], slot=slot: build(part, slot, tasks)
        for key, slot in BALANCE.parts.items()
        if isinstance(node.get(key), Mapping)
    }
    rest = {key: value for key, value in node.items() if key not in parts}
    return lambda: build(rest, BALANCE, **parts)


def _divided(node: Mapping[str, Any]) -> tuple[dict[str, Any], GradientOptions]:
    """Return the node of a weighting without the keys that choose where its gradients come from."""
    keys = {field.name for field in fields(GradientOptions)}
    gradient_options = GradientOptions(**{key: value for key, value in node.items() if key in keys})
    return {key: value for key, value in node.items() if key not in keys}, gradient_options


class SavedTeachers:
    """Teachers from run directories (`jlrun.objective.terms.transfer.teacher.Teachers`)."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        """Return modality -> what the selected model of the run in ``directory`` takes."""
        return read_specs(directory)

    def load(self, directory: Path, device: torch.device) -> Teacher:
        """Return the selected model of the run in ``directory``."""
        return load_teacher(directory, device)


def make_terms(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Term]:
    """Return fresh terms by name."""
    terms = {name: build(node, TERM) for name, node in nodes.items()}
    for term in terms.values():
        if isinstance(term, Distill):
            term.find_teachers_with(SavedTeachers())
    return terms
