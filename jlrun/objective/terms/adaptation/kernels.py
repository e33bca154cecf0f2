"""Gaussian kernels, and the maximum mean discrepancy."""

# x rows (N, D) of a source and then of the target, K = Σ_u exp(−‖x_i − x_j‖² / 2σ_u²)
# n, m rows of the source and of the target, N = n + m

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jlrun.objective.terms.self_supervised.encoding import full_precision
from jlrun.objective.terms.totals import precise

# Rows that differ by less than this count as equal: a width of 0 would divide by it.
_SMALLEST_VARIANCE = 1e-12


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
