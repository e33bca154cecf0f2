"""Terms that make several sources one, for a target that was never seen."""

from jlrun.terms.generalization.domain_mixup import DomainMixup
from jlrun.terms.generalization.irm import IRM
from jlrun.terms.generalization.vrex import VREx

__all__ = ["IRM", "DomainMixup", "VREx"]
