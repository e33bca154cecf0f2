"""CORAL: equal covariances of features."""

# C_s, C_t covariances (D, D), μ_s, μ_t means (D,) of the features of two domains

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor

from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.adaptation.domains import (
    feature_rows,
    mean_over_pairs,
    source_pairs,
    target_pairs,
)
from jlrun.objective.terms.base import Need, StepView, Term, full_precision
from jlrun.ranges import NonNegativeFloat


class CORAL(Term):
    """R = mean over sources of ‖C_s − C_t‖²_F / (4 D²).

    Eq. (1) of Sun & Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV
    workshops 2016. Differs from it in: it compares the fused features, not the logits. R is small
    where features are many and weakly correlated: choose ``weight`` by its value in the records; in
    the paper it ends as large as the classification loss. A domain with less than two rows has no
    covariance, and counts as equal.

    Args:
        weight: strength α of the term.
        means: whether ‖μ_s − μ_t‖² / (4 D) is added. Then 4 R is the penalty of DomainBed's CORAL.
    """

    needs: ClassVar[Need | None] = "target"
    compares_rows = True

    def __init__(self, weight: NonNegativeFloat = 1.0, means: bool = False) -> None:
        super().__init__()
        self.weight = weight
        self.means = means

    def forward(self, view: StepView) -> Tensor:
        pairs = ((source, target) for _, source, target in target_pairs(view))
        return mean_over_pairs(_distances(pairs, "coral", self.means), view)


class SourceCORAL(Term):
    """R = mean over every two sources of the distance of `CORAL`: no target is needed.

    CORAL between training domains, as in DomainBed (Gulrajani & Lopez-Paz, "In Search of Lost
    Domain Generalization", ICLR 2021), whose penalty is 4 R with ``means``.

    Args:
        weight: strength α of the term.
        means: whether ‖μ − μ′‖² / (4 D) is added.
    """

    needs: ClassVar[Need | None] = "several sources"
    compares_rows = True

    def __init__(self, weight: NonNegativeFloat = 1.0, means: bool = True) -> None:
        super().__init__()
        self.weight = weight
        self.means = means

    def forward(self, view: StepView) -> Tensor:
        pairs = iter(source_pairs(view))
        return mean_over_pairs(_distances(pairs, "coral_sources", self.means), view)


def coral_distance(source: Tensor, target: Tensor, means: bool = False) -> Tensor:
    """Return ‖C_s − C_t‖²_F / (4 D²), and ‖μ_s − μ_t‖² / (4 D) with ``means``, a scalar.

    Args:
        source: ``(B_s, D)``, at least two rows.
        target: ``(B_t, D)``, at least two rows.
        means: whether the means count too.
    """
    gap = (_covariance(source) - _covariance(target)).square().mean()
    if means:
        gap = gap + (source.mean(dim=0) - target.mean(dim=0)).square().mean()
    return gap / 4


def _distances(
    pairs: Iterator[tuple[Outputs, Outputs]], term: str, means: bool
) -> Iterator[Tensor]:
    for both in pairs:
        one, other = (feature_rows(outputs, term) for outputs in both)
        enough = min(len(one), len(other)) > 1
        yield coral_distance(one, other, means) if enough else 0 * (one.sum() + other.sum())


def _covariance(rows: Tensor) -> Tensor:
    """Return the covariance ``(D, D)`` of ``(B, D)``, with B − 1 in the denominator."""
    with full_precision(rows):
        centred = rows - rows.mean(dim=0)
        return centred.T @ centred / (len(rows) - 1)
