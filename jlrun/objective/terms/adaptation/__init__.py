"""Terms that bring an unlabelled target closer to sources with labels."""

from jlrun.objective.terms.adaptation.adabn import AdaBn
from jlrun.objective.terms.adaptation.cdan import Cdan
from jlrun.objective.terms.adaptation.coral import Coral, SourceCoral
from jlrun.objective.terms.adaptation.dann import Dann
from jlrun.objective.terms.adaptation.entropy import Entropy
from jlrun.objective.terms.adaptation.fixmatch import FixMatch
from jlrun.objective.terms.adaptation.jan import Jan
from jlrun.objective.terms.adaptation.mcc import Mcc
from jlrun.objective.terms.adaptation.mdd import Mdd
from jlrun.objective.terms.adaptation.mmd import Mmd

__all__ = [
    "AdaBn",
    "Cdan",
    "Coral",
    "Dann",
    "Entropy",
    "FixMatch",
    "Jan",
    "Mcc",
    "Mdd",
    "Mmd",
    "SourceCoral",
]
