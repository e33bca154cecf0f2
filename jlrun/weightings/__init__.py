"""Weightings: how task losses, or task gradients, become one update."""

from jlrun.weightings.aligned import AlignedMTL
from jlrun.weightings.auto_lambda import AutoLambda
from jlrun.weightings.base import (
    GradientWeighting,
    GramianWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)
from jlrun.weightings.cagrad import CAGrad
from jlrun.weightings.conflict_free import ConFIG
from jlrun.weightings.db_mtl import DBMTL
from jlrun.weightings.dualproj import DualProj
from jlrun.weightings.dwa import DWA
from jlrun.weightings.excess import ExcessMTL
from jlrun.weightings.fairgrad import FairGrad
from jlrun.weightings.famo import FAMO
from jlrun.weightings.fixed import Equal, Static
from jlrun.weightings.geometric import Geometric
from jlrun.weightings.go4align import GO4Align
from jlrun.weightings.graddrop import GradDrop
from jlrun.weightings.gradnorm import GradNorm
from jlrun.weightings.gradvac import GradVac
from jlrun.weightings.groupdro import GroupDRO
from jlrun.weightings.imtl import IMTL
from jlrun.weightings.imtl_g import IMTLG
from jlrun.weightings.imtl_l import IMTLL
from jlrun.weightings.ldc import LDC
from jlrun.weightings.log import Log
from jlrun.weightings.mgda import MGDA
from jlrun.weightings.moco import MoCo
from jlrun.weightings.modo import MoDo
from jlrun.weightings.nash import NashMTL
from jlrun.weightings.pcgrad import PCGrad
from jlrun.weightings.random import Random
from jlrun.weightings.sdmgrad import SDMGrad
from jlrun.weightings.smooth_tchebycheff import STCH
from jlrun.weightings.torchjd import TorchJD
from jlrun.weightings.uncertainty import Uncertainty
from jlrun.weightings.uncertainty_soft import UncertaintySoft
from jlrun.weightings.upgrad import UPGrad

__all__ = [
    "DBMTL",
    "DWA",
    "FAMO",
    "IMTL",
    "IMTLG",
    "IMTLL",
    "LDC",
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
