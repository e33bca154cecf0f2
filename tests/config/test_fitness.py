"""Fitness of classes for a slot."""

from __future__ import annotations

from torch import Tensor

from jlrun.config.fitness import unfit
from jlrun.config.slots import FUSION, TERM, WEIGHTING
from jlrun.config.trust import also_trusting
from jlrun.objective.terms import StepView, Term
from jlrun.objective.terms.weight_penalties import L2
from jlrun.objective.weightings import GramianWeighting


class Unfinished(Term):
    """A term without its value."""


class Finished(Term):
    def forward(self, view: StepView) -> Tensor:
        raise NotImplementedError


def test_a_class_with_abstract_methods_names_them() -> None:
    with also_trusting((__name__.partition(".")[0],)):
        assert unfit(Unfinished, TERM) == "is abstract: it has no forward"
        assert unfit(Finished, TERM) == ""
    assert unfit(GramianWeighting, WEIGHTING).startswith("is abstract: it has no ")


def test_the_base_of_the_slot_is_demanded() -> None:
    assert unfit(L2, TERM) == ""
    assert unfit(L2, FUSION).startswith("is not a fusion (")
