"""Domain generalization: terms over several sources, for an unseen target."""

from jlrun.objective.terms.generalization.domain_mixup import DomainMixup
from jlrun.objective.terms.generalization.irm import IRM
from jlrun.objective.terms.generalization.vrex import VREx

__all__ = ["IRM", "DomainMixup", "VREx"]
