"""DANN: domain-adversarial features."""

# D discriminator, f features, λ strength of the reversal

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor

from jlrun.objective.ramps import RampName, ramp
from jlrun.objective.terms.adaptation.adversarial import Discriminators, domain_loss, reverse
from jlrun.objective.terms.adaptation.pairs import feature_rows, mean_over_pairs, target_pairs
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveInt


class DANN(Term):
    """R = mean over sources of the binary cross-entropy of D(f), source against target.

    D is trained to lower R; the features get −λ times its gradient, with
    λ = strength · (2 / (1 + e^(−10 p)) − 1) over the phase's progress p. Sections 4.2 and 5.2 of
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016. Differs from it in: R
    is half the sum over both domains, so that it is ln 2 at chance, and D has two hidden layers, as
    in the authors' code of Long et al., 2018. ``weight`` scales D's own gradient too.

    Args:
        weight: strength α of the term.
        strength: largest λ.
        ramp: how λ grows over the phase.
        hidden: units of each hidden layer of D.
        dropout: share of these that are dropped in training.
        per_source: whether each source has its own D; else one D separates all of them from the
            target.
    """

    needs: ClassVar[Need | None] = "target"
    discriminators: Discriminators

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        strength: NonNegativeFloat = 1.0,
        ramp: RampName = "sigmoid",
        hidden: PositiveInt = 1024,
        dropout: Fraction = 0.0,
        per_source: bool = False,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.strength = strength
        self.ramp: RampName = ramp
        self.hidden = hidden
        self.dropout = dropout
        self.per_source = per_source

    def begin_phase(self, start: PhaseStart) -> None:
        width = fused_width(start.model)
        made = Discriminators(start.sources, width, self.hidden, self.dropout, self.per_source)
        self.discriminators = placed(made, start.model)

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return whether the ramp rises over the phase."""
        return arguments.get("ramp") != "constant"

    def forward(self, view: StepView) -> Tensor:
        return mean_over_pairs(self._losses(view), view)

    def _losses(self, view: StepView) -> Iterator[Tensor]:
        strength = self.strength * ramp(self.ramp)(view.progress)
        for name, *both in target_pairs(view):
            source, target = (reverse(feature_rows(x, "dann"), strength) for x in both)
            yield domain_loss(self.discriminators(name, source), self.discriminators(name, target))
