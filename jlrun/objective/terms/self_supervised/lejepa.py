"""LeJEPA: views agree, and projections follow an isotropic Gaussian."""

# N rows;  P width of the projections;  z̄ mean of a row's views;  S slices;  K knots

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import compare_views
from jlrun.ranges import NonNegativeFloat, PositiveInt, Probability


class LeJEPA(Term):
    """R = λ · SIGReg(z) + (1 − λ) · mean ‖z − z̄‖² / P: no teacher, no negatives, no stop-gradient.

    Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the
    Heuristics", 2025. Differs from it in: two views of the whole input instead of several global
    and local ones, all of which make z̄. The statistic
    (`sigreg`) is of each view's N rows of all streams; with ``engine.accumulate``, of those of a
    micro-batch. A single row has no distribution, and R is 0.

    Args:
        weight: strength α of the term.
        gaussian: λ, share of SIGReg.
        num_slices: random directions per step.
        num_knots: frequencies at which the distributions are compared.
        hidden: units of each of the projector's two hidden layers.
        out_features: width of the projections.
    """

    needs: ClassVar[Need | None] = "views"
    compares_rows = True
    projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        gaussian: Probability = 0.05,
        num_slices: PositiveInt = 1024,
        num_knots: Annotated[int, Ge(2)] = 17,
        hidden: PositiveInt = 512,
        out_features: PositiveInt = 64,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.gaussian = gaussian
        self.num_slices = num_slices
        self.num_knots = num_knots
        self.hidden = hidden
        self.out_features = out_features

    def begin_phase(self, start: PhaseStart) -> None:
        made = projector(fused_width(start.model), self.hidden, self.out_features, layers=3)
        self.projector = placed(made, start.model)

    def forward(self, view: StepView) -> Tensor:
        return compare_views(view, self.projector, self._loss)

    def _loss(self, first: Tensor, second: Tensor) -> Tensor:
        z = torch.stack([first, second])
        disagreement = (z - z.mean(dim=0)).square().mean()
        shape = sigreg(z, self.num_slices, self.num_knots)
        return self.gaussian * shape + (1 - self.gaussian) * disagreement


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
