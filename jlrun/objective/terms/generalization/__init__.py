"""Terms that make several sources one, for a target that was never seen."""

from jlrun.objective.terms.generalization.domain_mixup import DomainMixup
from jlrun.objective.terms.generalization.irm import IRM
from jlrun.objective.terms.generalization.vrex import VREx

__all__ = ["IRM", "DomainMixup", "VREx"]
