"""Domain adaptation: terms that align an unlabelled target with labelled sources."""

from jlrun.objective.terms.adaptation.adabn import AdaBN
from jlrun.objective.terms.adaptation.cdan import CDAN
from jlrun.objective.terms.adaptation.coral import CORAL, SourceCORAL
from jlrun.objective.terms.adaptation.dann import DANN
from jlrun.objective.terms.adaptation.entropy import Entropy
from jlrun.objective.terms.adaptation.fixmatch import FixMatch
from jlrun.objective.terms.adaptation.jan import JAN
from jlrun.objective.terms.adaptation.mcc import MCC
from jlrun.objective.terms.adaptation.mdd import MDD
from jlrun.objective.terms.adaptation.mmd import MMD

__all__ = [
    "CDAN",
    "CORAL",
    "DANN",
    "JAN",
    "MCC",
    "MDD",
    "MMD",
    "AdaBN",
    "Entropy",
    "FixMatch",
    "SourceCORAL",
]
