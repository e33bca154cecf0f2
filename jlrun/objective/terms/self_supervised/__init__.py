"""Self-supervised and supervised contrastive terms."""

from jlrun.objective.terms.self_supervised.barlow_twins import BarlowTwins
from jlrun.objective.terms.self_supervised.byol import BYOL
from jlrun.objective.terms.self_supervised.lejepa import LeJEPA
from jlrun.objective.terms.self_supervised.mae import MAE
from jlrun.objective.terms.self_supervised.rotation import Rotation
from jlrun.objective.terms.self_supervised.simclr import SimCLR
from jlrun.objective.terms.self_supervised.supcon import SupCon
from jlrun.objective.terms.self_supervised.vicreg import VICReg

__all__ = ["BYOL", "MAE", "BarlowTwins", "LeJEPA", "Rotation", "SimCLR", "SupCon", "VICReg"]
