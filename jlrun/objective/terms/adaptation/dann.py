"""DANN: domain-adversarial features, by gradient reversal."""

# D discriminator, f features, λ strength of the reversal, z logit of the target's side (B,),
# w weights of rows (B,)

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.objective.ramps import RampName, ramp
from jlrun.objective.terms.adaptation.domains import feature_rows, mean_over_pairs, target_pairs
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, precise
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


def reverse(x: Tensor, strength: float) -> Tensor:
    """Return ``x``; the gradient that comes back through it is multiplied by −λ.

    The gradient reversal layer of Ganin & Lempitsky, "Unsupervised Domain Adaptation by
    Backpropagation", ICML 2015, section 3.2. It can be differentiated twice.

    Args:
        x: of any shape.
        strength: λ.
    """
    return cast(Tensor, _Reversal.apply(x, strength))


class _Reversal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, strength: float) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


class Discriminators(nn.Module):
    """Logits ``(B,)`` of rows ``(B, D)`` being the target's, against a source.

    Two hidden layers with ReLU. There is no BatchNorm, whose batch statistics would reveal the
    domain.

    Args:
        sources: names of the sources.
        in_features: D.
        hidden: units of each hidden layer.
        dropout: share of the hidden units that are dropped in training.
        per_source: whether each source has its own network; else one network separates all of them
            from the target.
    """

    def __init__(
        self,
        sources: Sequence[str],
        in_features: int,
        hidden: int,
        dropout: float,
        per_source: bool,
    ) -> None:
        super().__init__()
        self._number = {name: i if per_source else 0 for i, name in enumerate(sources)}
        self.networks = nn.ModuleList(
            _network(in_features, hidden, dropout) for _ in set(self._number.values())
        )

    def forward(self, source: str, rows: Tensor) -> Tensor:
        return precise(self.networks[self._number[source]](rows)[:, 0])


def domain_loss(
    source: Tensor,
    target: Tensor,
    source_weights: Tensor | None = None,
    target_weights: Tensor | None = None,
) -> Tensor:
    """Return ½ Σ_{source, target} Σ w ℓ / Σ w of the binary cross-entropies ℓ, a scalar.

    Both domains count alike, whatever their numbers of rows; a logit of 0 everywhere gives ln 2.

    Args:
        source: logits ``(B_s,)`` of the source's rows, B_s at least 1.
        target: logits ``(B_t,)`` of the target's rows, B_t at least 1.
        source_weights: w ``(B_s,)``; None: equal.
        target_weights: w ``(B_t,)``; None: equal.
    """
    sides = ((F.softplus(source), source_weights), (F.softplus(-target), target_weights))
    losses = [x.mean() if w is None else (w * x).sum() / w.sum() for x, w in sides]
    return (losses[0] + losses[1]) / 2


def _network(in_features: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, 1),
    )
