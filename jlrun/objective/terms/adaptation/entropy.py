"""Information maximisation: confident predictions, spread over the classes."""

# p predicted probabilities of the target (B, C), H entropy in nats

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from jlrun.objective.terms.adaptation.domains import (
    entropies,
    target_class_heads,
    target_class_logits,
)
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, precise, total
from jlrun.ranges import NonNegativeFloat
from jlrun.tasks.classification import class_log_probabilities


class Entropy(Term):
    """R = Σ_heads E H(p_t) − H(E p_t): minus the information between the target's rows and classes.

    Information maximisation: Krause, Perona & Gomes, "Discriminative Clustering by Regularized
    Information Maximization", NeurIPS 2010, section 2; for adaptation, Liang et al., "Do We Really
    Need to Access the Source Data?", ICML 2020, section 3.2. Differs from them in: E is over the
    batch. The heads are those of the target with exclusive classes. R is in [−ln C, 0] per head
    with ``marginal=1``; 0 leaves entropy minimisation (Grandvalet & Bengio, 2004), which may put
    all rows into one class.

    Args:
        weight: strength α of the term.
        marginal: factor of H(E p_t).
    """

    needs: ClassVar[Need | None] = "target"

    def __init__(self, weight: NonNegativeFloat = 0.1, marginal: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.marginal = marginal

    def begin_phase(self, start: PhaseStart) -> None:
        """Check that there are classes.

        Raises:
            UserError: if no head of the target has exclusive classes.
        """
        target_class_heads(start, "entropy")

    def forward(self, view: StepView) -> Tensor:
        losses = (
            mean_entropy(log_p) - self.marginal * marginal_entropy(log_p)
            for log_p in (class_log_probabilities(t, z) for t, z in target_class_logits(view))
        )
        return precise(total(losses, view))


def mean_entropy(log_p: Tensor) -> Tensor:
    """Return E H(p) of log p ``(B, C)``, a scalar."""
    return entropies(log_p).mean()


def marginal_entropy(log_p: Tensor) -> Tensor:
    """Return H(E p) of log p ``(B, C)``, a scalar."""
    # The mean is taken of logarithms: a class that no row could be would have log 0.
    log_mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return -(log_mean.exp() * log_mean).sum()
