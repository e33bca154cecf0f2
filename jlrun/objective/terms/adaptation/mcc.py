"""MCC: minimum confusion between classes."""

# z logits (B, K) of the target, τ temperature, P = softmax(z / τ), w weights (B,)
# M confusion (K, K), its rows divided by their sums

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from jlrun.objective.terms.adaptation.domains import (
    entropies,
    target_class_heads,
    target_class_logits,
)
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, precise, total
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.tasks.classification import class_log_probabilities


class MCC(Term):
    """R = Σ_heads (Σ M − tr M) / K, the confusion between the predicted classes of the target.

    M = Pᵀ diag(w) P with its rows divided by their sums, w ∝ 1 + e^(−H) of the rows of P. Section
    3.2 of Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020. Differs
    from it in: nothing; as in the authors' code, w has no gradient. The heads are those of
    the target with exclusive classes. The larger a batch is against the number of classes, the more
    reliable M is.

    Args:
        weight: strength α of the term.
        temperature: τ.
    """

    needs: ClassVar[Need | None] = "target"

    def __init__(self, weight: NonNegativeFloat = 1.0, temperature: PositiveFloat = 2.5) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def begin_phase(self, start: PhaseStart) -> None:
        """Check that there are classes.

        Raises:
            UserError: if no head of the target has exclusive classes.
        """
        target_class_heads(start, "mcc")

    def forward(self, view: StepView) -> Tensor:
        losses = (
            class_confusion(class_log_probabilities(task, logits / self.temperature))
            for task, logits in target_class_logits(view)
        )
        return precise(total(losses, view))


def class_confusion(log_p: Tensor) -> Tensor:
    """Return (Σ M − tr M) / K, a scalar in [0, 1), of log P ``(B, K)``.

    A row of M is a mean of rows of P, in which row i counts by the share w_i P_ic / Σ_j w_j P_jc of
    its class c. These shares are a softmax, finite even for a class that no row could be. They add
    up to 1 in each class, and so does each row of M: only its trace is left to compute.
    """
    log_w = (1 + (-entropies(log_p)).exp()).log().detach()
    shares = (log_p + log_w[:, None]).softmax(dim=0)
    return 1 - (shares * log_p.exp()).sum(dim=0).mean()
