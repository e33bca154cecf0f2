"""Weightings: how task losses, or task gradients, become one update."""

from jlrun.objective.weightings.aligned_mtl import AlignedMTL
from jlrun.objective.weightings.auto_lambda import AutoLambda
from jlrun.objective.weightings.base import (
    GradientWeighting,
    GramianWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)
from jlrun.objective.weightings.cagrad import CAGrad
from jlrun.objective.weightings.conflict_free import ConFIG
from jlrun.objective.weightings.db_mtl import DBMTL
from jlrun.objective.weightings.dual_cone import DualProj, UPGrad
from jlrun.objective.weightings.dwa import DWA
from jlrun.objective.weightings.excess_mtl import ExcessMTL
from jlrun.objective.weightings.fairgrad import FairGrad
from jlrun.objective.weightings.famo import FAMO
from jlrun.objective.weightings.fixed import Equal, Static
from jlrun.objective.weightings.go4align import GO4Align
from jlrun.objective.weightings.graddrop import GradDrop
from jlrun.objective.weightings.gradnorm import GradNorm
from jlrun.objective.weightings.gradvac import GradVac
from jlrun.objective.weightings.groupdro import GroupDRO
from jlrun.objective.weightings.imtl import IMTL, IMTLG, IMTLL
from jlrun.objective.weightings.ldc_mtl import LDCMTL
from jlrun.objective.weightings.log_losses import Geometric, Log
from jlrun.objective.weightings.mgda import MGDA
from jlrun.objective.weightings.moco import MoCo
from jlrun.objective.weightings.modo import MoDo
from jlrun.objective.weightings.nash_mtl import NashMTL
from jlrun.objective.weightings.pcgrad import PCGrad
from jlrun.objective.weightings.random import Random
from jlrun.objective.weightings.sdmgrad import SDMGrad
from jlrun.objective.weightings.smooth_tchebycheff import STCH
from jlrun.objective.weightings.torchjd import TorchJD
from jlrun.objective.weightings.uncertainty import Uncertainty, UncertaintySoft

__all__ = [
    "DBMTL",
    "DWA",
    "FAMO",
    "IMTL",
    "IMTLG",
    "IMTLL",
    "LDCMTL",
    "MGDA",
    "STCH",
    "AlignedMTL",
    "AutoLambda",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "Equal",
    "ExcessMTL",
    "FairGrad",
    "GO4Align",
    "Geometric",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GradientWeighting",
    "GramianWeighting",
    "GroupDRO",
    "Log",
    "LossWeighting",
    "MoCo",
    "MoDo",
    "NashMTL",
    "PCGrad",
    "Random",
    "SDMGrad",
    "Static",
    "TaskGradients",
    "TaskLosses",
    "TorchJD",
    "UPGrad",
    "Uncertainty",
    "UncertaintySoft",
    "Weighting",
]
