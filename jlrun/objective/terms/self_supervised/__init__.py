"""Terms that learn from inputs alone, or from which rows are alike."""

from jlrun.objective.terms.self_supervised.barlow import Barlow
from jlrun.objective.terms.self_supervised.byol import Byol
from jlrun.objective.terms.self_supervised.lejepa import LeJepa
from jlrun.objective.terms.self_supervised.mae import Mae
from jlrun.objective.terms.self_supervised.rotation import Rotation
from jlrun.objective.terms.self_supervised.simclr import SimClr
from jlrun.objective.terms.self_supervised.supcon import SupCon
from jlrun.objective.terms.self_supervised.vicreg import VicReg

__all__ = ["Barlow", "Byol", "LeJepa", "Mae", "Rotation", "SimClr", "SupCon", "VicReg"]
