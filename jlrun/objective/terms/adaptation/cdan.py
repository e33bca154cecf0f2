"""CDAN: domain-adversarial features, conditioned on predicted classes."""

# D discriminator, f features (B, D), p predicted probabilities (B, C), H their entropy,
# R_f (D, d) and R_p (C, d) random projections, λ strength of reversal

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from jlrun.models.joint_model import Outputs
from jlrun.objective.ramps import RampName, ramp
from jlrun.objective.terms.adaptation.dann import Discriminators, domain_loss, reverse
from jlrun.objective.terms.adaptation.domains import (
    entropies,
    feature_rows,
    num_classes,
    paired_class_heads,
    sum_over_heads,
)
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveInt
from jlrun.tasks.classification import class_log_probabilities


class CDAN(Term):
    """R = Σ_heads mean over sources of the binary cross-entropy of D(f ⊗ p).

    Rows count by 1 + e^(−H(p)) where ``entropy`` is on (CDAN+E). D is trained to lower R; the
    features get −λ times its gradient, and p has none. Section 3 of Long et al., "Conditional
    Adversarial Domain Adaptation", NeurIPS 2018. Differs from it in: R is half the sum over both
    domains, and the weights add up to 1 within each of them, as in the authors' code; the weights
    have no gradient. The heads are those with exclusive classes that source and target share, each
    with its own D.

    Args:
        weight: strength α of the term.
        strength: largest λ.
        ramp: how λ grows over the phase.
        entropy: whether certain predictions count more.
        max_features: widest f ⊗ p that is computed in full.
        random_features: width of the random map that takes its place above that.
        hidden: units of each hidden layer of D.
        dropout: share of these that are dropped in training.
        per_source: whether each source has its own D; else one D separates all of them from the
            target.
    """

    needs: ClassVar[Need | None] = "target"
    maps: nn.ModuleDict
    discriminators: nn.ModuleDict

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        strength: NonNegativeFloat = 1.0,
        ramp: RampName = "sigmoid",
        entropy: bool = True,
        max_features: PositiveInt = 4096,
        random_features: PositiveInt = 1024,
        hidden: PositiveInt = 1024,
        dropout: Fraction = 0.0,
        per_source: bool = False,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.strength = strength
        self.ramp: RampName = ramp
        self.entropy = entropy
        self.max_features = max_features
        self.random_features = random_features
        self.hidden = hidden
        self.dropout = dropout
        self.per_source = per_source

    def begin_phase(self, start: PhaseStart) -> None:
        """Build a map and a discriminator for each head.

        Raises:
            UserError: if source and target share no head with exclusive classes.
        """
        width = fused_width(start.model)
        maps, discriminators = nn.ModuleDict(), nn.ModuleDict()
        for head in paired_class_heads(start, "cdan"):
            made = MultilinearMap(
                width, num_classes(start.tasks[head]), self.max_features, self.random_features
            )
            maps[head] = made
            discriminators[head] = Discriminators(
                start.sources, made.out_features, self.hidden, self.dropout, self.per_source
            )
        self.maps = placed(maps, start.model)
        self.discriminators = placed(discriminators, start.model)

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return whether the ramp rises over the phase."""
        return arguments.get("ramp") != "constant"

    def forward(self, view: StepView) -> Tensor:
        return sum_over_heads(view, partial(self._loss, view))

    def _loss(
        self, view: StepView, head: str, name: str, source: Outputs, target: Outputs
    ) -> Tensor:
        strength = self.strength * ramp(self.ramp)(view.progress)
        logits, weights = [], []
        for outputs in (source, target):
            log_p = class_log_probabilities(view.tasks[head], outputs.logits[head]).detach()
            f = reverse(feature_rows(outputs, "cdan"), strength)
            logits.append(self.discriminators[head](name, self.maps[head](f, log_p.exp())))
            weights.append(1 + (-entropies(log_p)).exp() if self.entropy else None)
        return domain_loss(*logits, *weights)


class MultilinearMap(nn.Module):
    """f ⊗ p, ``(B, C · D)``; where that is too wide, (f R_f) ⊙ (p R_p) / √d, ``(B, d)``.

    Section 3.2 of Long et al., "Conditional Adversarial Domain Adaptation", NeurIPS 2018,
    with entries of R from a standard normal distribution, drawn once. Inner products of the second
    are those of the first on average.

    Args:
        in_features: D.
        num_classes: C.
        max_features: largest C · D that is computed in full.
        random_features: d.
    """

    random_f: Tensor | None
    random_p: Tensor | None

    def __init__(
        self, in_features: int, num_classes: int, max_features: int, random_features: int
    ) -> None:
        super().__init__()
        full = in_features * num_classes
        drawn = full > max_features
        self.out_features = random_features if drawn else full
        for name, size in (("random_f", in_features), ("random_p", num_classes)):
            self.register_buffer(name, torch.randn(size, random_features) if drawn else None)

    def forward(self, f: Tensor, p: Tensor) -> Tensor:
        if self.random_f is None or self.random_p is None:
            return (p[:, :, None] * f[:, None, :]).flatten(1)
        return (f @ self.random_f) * (p @ self.random_p) / math.sqrt(self.out_features)
