"""Terms that bring an unlabelled target closer to sources with labels."""

from jlrun.terms.adaptation.adabn import AdaBn
from jlrun.terms.adaptation.cdan import Cdan
from jlrun.terms.adaptation.coral import Coral, SourceCoral
from jlrun.terms.adaptation.dann import Dann
from jlrun.terms.adaptation.entropy import Entropy
from jlrun.terms.adaptation.fixmatch import FixMatch
from jlrun.terms.adaptation.jan import Jan
from jlrun.terms.adaptation.mcc import Mcc
from jlrun.terms.adaptation.mdd import Mdd
from jlrun.terms.adaptation.mmd import Mmd

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
