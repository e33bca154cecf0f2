"""The target risk, estimated on labelled source rows that stand for the target's."""

# S validation rows, w density ratios, ℓ losses

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from jlrun.evaluation.validators.base import Evidence, Validator, limited, usable
from jlrun.evaluation.validators.density_ratio import density_ratio
from jlrun.evaluation.validators.predictions import class_logits
from jlrun.ranges import PositiveFloat, PositiveInt

EQUAL_WEIGHTS = 1e-6  # relative deviation below which weights differ by rounding alone


@dataclass(frozen=True)
class DEV(Validator):
    """−R, the negative target risk as deep embedded validation estimates it.

    Algorithm 1 of You et al., "Towards Accurate Model Selection in Deep Unsupervised Domain
    Adaptation", ICML 2019: the losses ℓ of source validation rows are weighted by the density ratio
    w of their features, and a control variate lowers the variance (see `control_variate_risk`).
    Differs from it in: the domain classifier is a logistic regression instead of a network, its
    penalty is selected by loss instead of accuracy, and ratios are cut to e^±20.

    Trust it where the features of the domains overlap: where few rows carry the weight, the
    estimate is poor and R may fall below 0.

    Args:
        loss: ``error`` counts mistakes, so that 1 − R estimates the target accuracy;
            ``cross_entropy`` is in nats.
        l2: penalty of the domain classifier, a larger one makes weights more equal; null selects
            it on rows that are held out.
        max_rows: rows of either domain that the classifier is trained on at most.
    """

    name: ClassVar[str] = "dev"

    loss: Literal["error", "cross_entropy"] = "error"
    l2: PositiveFloat | None = None
    max_rows: PositiveInt = 5000

    def score(self, evidence: Evidence) -> float:
        source, target = evidence.source_train_features, evidence.target_features
        if not usable(source, target, evidence.source_features, evidence.source_logits):
            return float("-inf")
        weights = density_ratio(
            limited(source, self.max_rows),
            limited(target, self.max_rows),
            evidence.source_features,
            self.l2,
        )
        return -control_variate_risk(self._losses(evidence), weights)

    def _losses(self, evidence: Evidence) -> Tensor:
        """Return the losses of the validation rows, ``(S,)`` float64."""
        logits, labels = class_logits(evidence.source_logits), evidence.source_labels
        if self.loss == "error":
            return (logits.argmax(dim=1) != labels).to(logits.dtype)
        return F.cross_entropy(logits, labels, reduction="none")


def control_variate_risk(losses: Tensor, weights: Tensor) -> float:
    """Return R = mean(wℓ) + η (mean(w) − 1) with η = −Cov(wℓ, w) / Var(w).

    The expectation of w over the sources is known to be 1: what its mean lacks shows what that of
    wℓ lacks. η is 0 where the weights do not differ.

    Args:
        losses: ℓ, ``(S,)``.
        weights: w, ``(S,)``.
    """
    weighted = weights * losses
    deviation = weights - weights.mean()
    if deviation.abs().max() <= EQUAL_WEIGHTS * weights.mean():
        return float(weighted.mean())
    eta = -(deviation * weighted).sum() / deviation.square().sum()
    return float(weighted.mean() + eta * (weights.mean() - 1))
