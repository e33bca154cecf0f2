"""Fitness for shards: which phases can train a model of which each rank has a part."""

from __future__ import annotations

from jlrun.errors import UserError
from jlrun.objective.balance import NoBalance
from jlrun.objective.terms import Orthogonal
from jlrun.objective.terms.adaptation import FixMatch
from jlrun.objective.terms.cross_modal import CMC, MaskedModality
from jlrun.objective.terms.self_supervised import BYOL, MAE
from jlrun.objective.terms.transfer import DELTA, CoTuning, Distill, LwF
from jlrun.objective.weightings.base import GradientWeighting
from jlrun.training.plan import Phase
from jlrun.training.prepared import KEY

# Terms that copy the model, or read its layers by themselves.
UNFIT = (BYOL, CMC, DELTA, MAE, CoTuning, Distill, FixMatch, LwF, MaskedModality, Orthogonal)


def check_phase(phase: Phase) -> None:
    """Check that a phase can train shards, but for the optimizer.

    Raises:
        UserError: for the first part of it that can't.
    """
    recipe = phase.recipe
    for name, maker in recipe.terms.items():
        if maker.acts_in(phase.offers) and issubclass(maker.kind, UNFIT):
            why = f"{maker.kind.__name__} copies the model or reads its layers"
            raise UserError.of(f"terms.{name}", f"{why}, of which a rank has a part: {_FIX}")
    if phase.objectives and not isinstance(balance := recipe.make_balance(), NoBalance):
        why = f"{type(balance).__name__} changes gradients of encoders, of which a rank has a part"
        raise UserError.of("balance", f"{why}: use balance=none, or {KEY}=ddp")
    weighting = recipe.make_weighting(phase.labels)
    if isinstance(weighting, GradientWeighting) and not _takes_features(phase):
        why = f"{type(weighting).__name__} compares gradients of parameters here"
        fix = "use weighting.gradients=features with one data set, another weighting"
        raise UserError.of("weighting", f"{why}, of which a rank has a part: {fix}, or {KEY}=ddp")


_FIX = f"leave it out, or use {KEY}=ddp"


def _takes_features(phase: Phase) -> bool:
    """Return whether gradients are those of features in each step (`passes.takes_features`)."""
    one = len(phase.train) == len({o.stream for o in phase.objectives}) == 1
    return one and phase.recipe.gradient_options.gradients == "features"
