"""MMD: equal kernel means of features."""

# x rows (N, D) of a source and then of the target, K = Σ_u exp(−‖x_i − x_j‖² / 2σ_u²)
# n, m rows of the source and of the target, N = n + m

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import MinLen
from torch import Tensor

from jlrun.objective.terms.adaptation.domains import feature_rows, mean_over_pairs, target_pairs
from jlrun.objective.terms.base import Need, StepView, Term, full_precision, precise
from jlrun.ranges import NonNegativeFloat, PositiveFloat

Widths = Annotated[Sequence[PositiveFloat], MinLen(1)]
HALVINGS = (0.125, 0.25, 0.5, 1.0, 2.0)

# Rows that differ by less than this count as equal: a width of 0 would divide by it.
_SMALLEST_VARIANCE = 1e-12


class MMD(Term):
    """R = mean over sources of E k(s, s′) + E k(t, t′) − 2 E k(s, t) of the fused features.

    k is a sum of Gaussians with σ² = α times the mean squared distance of the rows of source and
    target. Eq. (1) of Long et al., "Learning Transferable Features with Deep Adaptation Networks",
    ICML 2015. Differs from it in: it takes all pairs, not one pair per row; the Gaussians have
    equal factors of 1, and there is one layer of features. Unbiased it is the Transfer Learning
    Library's, which adds a constant, 2 / (n − 1); skada's takes all pairs, rows with themselves
    too, as ``unbiased=false`` does.

    Args:
        weight: strength α of the term.
        kernels: the α of the Gaussians, at least one.
        unbiased: whether pairs of a row with itself are left out; then R is 0 on average where the
            distributions are equal, and may be negative.
    """

    needs: ClassVar[Need | None] = "target"
    compares_rows = True

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        kernels: Widths = HALVINGS,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.kernels = tuple(kernels)
        self.unbiased = unbiased

    def forward(self, view: StepView) -> Tensor:
        return mean_over_pairs(self._losses(view), view)

    def _losses(self, view: StepView) -> Iterator[Tensor]:
        for _, *both in target_pairs(view):
            source, target = (feature_rows(outputs, "mmd") for outputs in both)
            kernel = gaussian_kernels(torch.cat([source, target]), self.kernels)
            yield mean_discrepancy(kernel, len(source), self.unbiased)


def gaussian_kernels(x: Tensor, multipliers: Sequence[float]) -> Tensor:
    """Return K ``(N, N)`` with σ_u² = α_u times the mean squared distance of all pairs of rows.

    The widths have no gradient.

    Args:
        x: ``(N, D)``.
        multipliers: the α_u, above 0.
    """
    squared = squared_distances(x)
    mean = squared.detach().mean().clamp(min=_SMALLEST_VARIANCE)
    return torch.stack([(-squared / (2 * a * mean)).exp() for a in multipliers]).sum(dim=0)


def gaussian_kernel(x: Tensor, sigma: float) -> Tensor:
    """Return exp(−‖x_i − x_j‖² / 2σ²), ``(N, N)``, of one given width."""
    return (-squared_distances(x) / (2 * sigma**2)).exp()


def squared_distances(x: Tensor) -> Tensor:
    """Return ‖x_i − x_j‖², ``(N, N)``, in float32 at least."""
    with full_precision(x):
        x = precise(x)
        # Distances don't change with the origin; close to it, rounding loses least.
        x = x - x.detach().mean(dim=0)
        norms = x.square().sum(dim=1)
        return (norms[:, None] + norms[None, :] - 2 * x @ x.T).clamp(min=0)


def mean_discrepancy(kernel: Tensor, num_source: int, unbiased: bool) -> Tensor:
    """Return E k(s, s′) + E k(t, t′) − 2 E k(s, t), a scalar.

    The squared maximum mean discrepancy of Gretton et al., "A Kernel Two-Sample Test", JMLR 2012:
    eq. (5), with all pairs, or the unbiased eq. (3), without those of a row and itself.
    The latter may be negative, and is 0 where a side has less than two rows.

    Args:
        kernel: K ``(N, N)``.
        num_source: n, at least 1 and less than N.
        unbiased: which of the two.
    """
    ss, tt = kernel[:num_source, :num_source], kernel[num_source:, num_source:]
    st = kernel[:num_source, num_source:]
    if not unbiased:
        return ss.mean() + tt.mean() - 2 * st.mean()
    if min(len(ss), len(tt)) < 2:
        return 0 * kernel.sum()
    within = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (ss, tt)]
    return within[0] + within[1] - 2 * st.mean()
