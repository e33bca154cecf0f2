"""Zero-shot learning: learn some classes, recognise others by vectors that describe them."""

from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.methods import (
    ALE,
    CLIP,
    ESZSL,
    ClosedForm,
    DeViSE,
    Method,
    SolveEszsl,
)
from jlrun.strategies.zero_shot.protocol import Scored, best_bias, report
from jlrun.strategies.zero_shot.tasks import AllClasses, SeenClasses

__all__ = [
    "ALE",
    "CLIP",
    "ESZSL",
    "AllClasses",
    "ClassSplit",
    "ClosedForm",
    "DeViSE",
    "Method",
    "Scored",
    "SeenClasses",
    "SolveEszsl",
    "best_bias",
    "report",
]
