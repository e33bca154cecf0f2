"""MDD: features on which no adversary agrees on the source and disagrees on the target."""

# h the head, h′ the adversary, f features, ŷ what h predicts, γ margin, λ strength of reversal

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.heads import MLP
from jlrun.models.joint_model import Outputs
from jlrun.objective.ramps import RampName, ramp
from jlrun.objective.terms.adaptation.dann import reverse
from jlrun.objective.terms.adaptation.domains import (
    feature_rows,
    num_classes,
    paired_class_heads,
    sum_over_heads,
)
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, precise
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from jlrun.tasks.classification import class_log_probabilities


class MDD(Term):
    """R = Σ_heads mean over sources of γ CE(h′(f_s), ŷ_s) − E log(1 − p_h′(ŷ_t | f_t)).

    h′ is trained to lower R, to agree with h on the source and to differ on the target; the
    features get −λ times its gradient. Eqs. (28) to (30) of Zhang et al., "Bridging Theory and
    Algorithm for Domain Adaptation", ICML 2019. Differs from it in: nothing; λ grows to
    ``strength`` over the phase. The heads are those with exclusive classes that source and target
    share, each with one h′ for all sources.

    Args:
        weight: strength α of the term.
        margin: γ.
        strength: largest λ.
        ramp: how λ grows over the phase.
        hidden: units of the hidden layer of h′.
        dropout: share of these that are dropped in training.
    """

    needs: ClassVar[Need | None] = "target"
    adversaries: nn.ModuleDict

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        margin: PositiveFloat = 4.0,
        strength: NonNegativeFloat = 0.1,
        ramp: RampName = "sigmoid",
        hidden: PositiveInt = 1024,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.margin = margin
        self.strength = strength
        self.ramp: RampName = ramp
        self.hidden = hidden
        self.dropout = dropout

    def begin_phase(self, start: PhaseStart) -> None:
        """Build an adversary for each head.

        Raises:
            UserError: if source and target share no head with exclusive classes.
        """
        width = fused_width(start.model)
        heads = {
            head: MLP(width, num_classes(start.tasks[head]), self.hidden, self.dropout)
            for head in paired_class_heads(start, "mdd")
        }
        self.adversaries = placed(nn.ModuleDict(heads), start.model)

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
        logits, predicted = [], []
        for outputs in (source, target):
            f = reverse(feature_rows(outputs, "mdd"), strength)
            logits.append(precise(self.adversaries[head](f)))
            log_p = class_log_probabilities(view.tasks[head], outputs.logits[head])
            predicted.append(log_p.argmax(dim=1))
        return margin_disparity(logits[0], predicted[0], logits[1], predicted[1], self.margin)


def margin_disparity(
    source: Tensor,
    source_predicted: Tensor,
    target: Tensor,
    target_predicted: Tensor,
    margin: float,
) -> Tensor:
    """Return γ mean CE(source, ŷ_s) − mean log(1 − softmax(target)_ŷt), a scalar.

    Args:
        source: logits of the adversary ``(B_s, C)``, C at least 2.
        source_predicted: ŷ_s, int64 ``(B_s,)``.
        target: logits of the adversary ``(B_t, C)``.
        target_predicted: ŷ_t, int64 ``(B_t,)``.
        margin: γ.
    """
    chosen = F.one_hot(target_predicted, target.shape[1]).bool()
    # log(1 − p) as the log of the other classes' share: finite however certain the adversary is.
    others = torch.where(chosen, -torch.inf, target).logsumexp(dim=1)
    log_rest = others - target.logsumexp(dim=1)
    return margin * F.cross_entropy(source, source_predicted) - log_rest.mean()
