"""Deep embedded validation: target risk from labelled source rows, weighted by density ratio."""

# S validation rows, w density ratios, ℓ losses

from __future__ import annotations

# N, T, S rows of training, target, and those that are asked about;  D features
import math
import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.evaluation.validators.base import Evidence, Validator, class_logits, limited, usable
from jlrun.ranges import PositiveFloat, PositiveInt
from jlrun.seeding import derive_seed

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


# Beyond e^20 a ratio only means that one domain lacks such rows; squares of larger ones lose digits
LARGEST_LOG_RATIO = 20.0
STRENGTHS = (1e4, 1e3, 1e2, 1e1, 1.0)  # to select from; of equally good ones, the strongest
HELD_OUT = 5  # one row in so many


def density_ratio(source: Tensor, target: Tensor, rows: Tensor, l2: float | None = None) -> Tensor:
    """Return w(x) = p_target(x) / p_source(x) of ``rows`` by a domain classifier, ``(S,)`` float64.

    By Bayes' rule w = (N / T) · P(target | x) / P(source | x). The classifier is a logistic
    regression a on features that have mean 0 and variance 1 over both domains together; a feature
    that is constant there is left out. Ratios are cut to e^±20.

    Args:
        source: ``(N, D)``.
        target: ``(T, D)``.
        rows: ``(S, D)``.
        l2: strength of the penalty l2 ‖a‖²/2 added to the sum of the N + T logistic losses; None
            selects it.
    """
    strength = selected_l2(source, target) if l2 is None else l2
    log_ratio = _log_ratio(source, target, rows, strength)
    return log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


def selected_l2(source: Tensor, target: Tensor) -> float:
    """Return the penalty with the least logistic loss on a fifth of the rows, which is held out.

    That loss is least where ratios are right, and so separates memorised rows from unlike domains.
    """
    if min(len(source), len(target)) < 2:
        return STRENGTHS[0]
    (source_fit, source_held), (target_fit, target_held) = _split(source), _split(target)
    held = torch.cat([source_held, target_held])

    def loss(l2: float) -> float:
        log_ratio = _log_ratio(source_fit, target_fit, held, l2)
        mistaken, right = log_ratio.split([len(source_held), len(target_held)])
        return float(F.softplus(mistaken).mean() + F.softplus(-right).mean())

    return min(STRENGTHS, key=loss)


def _split(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows to fit and rows held out, whatever the order in which they come.

    Held out is every so-many-th along a fixed random direction of the features.
    """
    generator = torch.Generator().manual_seed(derive_seed("density ratio", rows.shape[1]))
    direction = torch.randn(rows.shape[1], generator=generator, dtype=torch.float64)
    order = (rows.double() @ direction).argsort()
    held = torch.arange(len(rows)) % HELD_OUT == 0
    return rows[order[~held]], rows[order[held]]


def _log_ratio(source: Tensor, target: Tensor, rows: Tensor, l2: float) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    both = torch.cat([source, target]).double()
    centre, scale = _centre_and_scale(both)
    is_target = [0] * len(source) + [1] * len(target)
    classifier = LogisticRegression(C=1 / l2, max_iter=1000, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a near optimum is as good
        classifier.fit(((both - centre) / scale).numpy(), is_target)
    log_odds = classifier.decision_function(((rows.double() - centre) / scale).numpy())
    return torch.as_tensor(log_odds) + math.log(len(source) / len(target))


def _centre_and_scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, ``(D,)``; of a constant the latter is infinite."""
    deviation, mean = torch.std_mean(rows, dim=0, correction=0)
    noise = torch.finfo(torch.float32).eps * mean.abs()  # what rounding leaves of a constant
    return mean, torch.where(deviation > noise, deviation, torch.inf)
