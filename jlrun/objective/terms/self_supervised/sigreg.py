"""How far projections are from an isotropic Gaussian."""

# N rows;  P width of the projections;  S slices;  K knots

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_FREQUENCY = 3.0


def sigreg(z: Tensor, num_slices: int, num_knots: int) -> Tensor:
    """Return N times the mean over random directions of ∫ |φ_N(t) − e^(−t²/2)|² e^(−t²/2) dt.

    φ_N is the empirical characteristic function of the rows along a direction: the statistic of
    Epps and Pulley, "A test for normality based on the empirical characteristic function",
    Biometrika 1983, as "sketched isotropic Gaussian regularization" in Balestriero and LeCun,
    "LeJEPA", 2025, section 4. Differs from it in: the integral runs over [−3, 3] as in the authors'
    code; the paper's listing has [−5, 5]. It is taken by the trapezoidal rule on [0, 3] and
    doubled, the integrand being even. Directions are drawn from the global generator of the CPU.

    Args:
        z: ``(..., N, P)``; the leading dimensions are averaged over.
        num_slices: S, directions.
        num_knots: K, frequencies t in [0, 3], at least 2.
    """
    directions = torch.randn(z.shape[-1], num_slices)
    directions = (directions / directions.norm(dim=0)).to(z)
    t = torch.linspace(0, LARGEST_FREQUENCY, num_knots, dtype=z.dtype, device=z.device)
    gaussian = torch.exp(-t.square() / 2)
    phase = (z @ directions).unsqueeze(-1) * t  # (..., N, S, K)
    real, imaginary = phase.cos().mean(dim=-3), phase.sin().mean(dim=-3)
    distance = ((real - gaussian).square() + imaginary.square()) * gaussian
    return 2 * z.shape[-2] * torch.trapezoid(distance, t, dim=-1).mean()
