"""Ordinal classification: classes in an order, such as grades."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.tasks.base import Metric, Task, check_row_logits
from jlrun.tasks.classification import ClassMetric, outside

# B rows, C classes, k = 0 … C − 2 questions "is y > k?";  A_k = P(y > k), B_k = P(y <= k)
# z_k log-odds of A_k, strictly falling;  g_k = z_{k−1} − z_k > 0 gaps, k = 1 … C − 2


class Ordinal(Task):
    """One of C classes in an order: C − 1 questions whether the target is above class k.

    Of C − 1 outputs ``(s, δ_1, …)`` s is the mean of the log-odds z_k of P(y > k), and the gaps
    between them are g_k = log (1 + e^{δ_k}): McCullagh, "Regression Models for Ordinal Data",
    JRSS B 42, 1980, section 2. Differs from it in: gaps depend on the row, too; where they do not,
    it is that model of proportional odds. Answers can't contradict each other, and no class has a
    probability of 0, whatever the outputs:

        log p_k = log σ(z_{k−1}) + log σ(−z_k) + log σ(δ_k),  without what the end classes lack.

    The loss is the mean binary cross-entropy over the questions, target int64 ``(B,)``, which true
    probabilities minimise and by which a near miss costs less than a far one: Niu et al., "Ordinal
    Regression with Multiple Output CNN for Age Estimation", CVPR 2016, eq. (3), with equal weights.
    The predicted class is the median of the distribution, which minimises the expected error in
    grades: all scores are those of it.

    Args:
        metric: primary metric, for selection and Δm; None: accuracy.
    """

    primary = "accuracy"

    def __init__(
        self, metric: ClassMetric | Literal["mae", "quadratic_kappa"] | None = None
    ) -> None:
        self.prefer(metric)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(classes) - 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        z, _ = _log_odds(logits)
        above = target[:, None] > torch.arange(z.shape[1], device=target.device)
        losses = F.binary_cross_entropy_with_logits(z, above.to(z.dtype), reduction="none")
        return losses.mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        z, delta = _log_odds(logits)
        return _log_probabilities(z, F.logsigmoid(delta)).exp()

    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the median class, of which half of the probability is at or above and below."""
        return (probabilities.cumsum(dim=1) < 0.5).sum(dim=1).clamp(max=probabilities.shape[1] - 1)

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.tasks.metrics.accumulators import ClassAUROC, OrdinalScores

        return {"grades": OrdinalScores(self.decide), "auroc": ClassAUROC(len(classes))}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return outside(targets, len(classes))


def ordinal_logits(probabilities: Tensor) -> Tensor:
    """Return the outputs ``(B, C − 1)`` of `Ordinal` that give these probabilities ``(B, C)``.

    They must be above 0. From A_{k−1} B_k − B_{k−1} A_k = p_k follows
    δ_k = log p_k − log B_{k−1} − log A_k.
    """
    below, above = _tails(probabilities)
    z = above.log() - below.log()
    delta = probabilities[:, 1:-1].log() - below[:, :-1].log() - above[:, 1:].log()
    return torch.cat([z.mean(dim=1, keepdim=True), delta], dim=1)


def ordinal_tempered(probabilities: Tensor, temperature: float) -> Tensor:
    """Return the probabilities ``(B, C)`` if all z_k are divided by T; none of them may be 0.

    What is above 0 stays so, and the median class the same.
    """
    delta = ordinal_logits(probabilities)[:, 1:]
    below, above = _tails(probabilities)
    z = (above.log() - below.log()) / temperature
    minus_gaps = F.logsigmoid(-delta) / temperature
    return _log_probabilities(z, (-minus_gaps.expm1()).log()).softmax(dim=1)


def _log_odds(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return z ``(B, C − 1)`` and δ ``(B, C − 2)``, float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    mean, delta = logits[:, :1], logits[:, 1:]
    steps = F.pad(F.logsigmoid(-delta).cumsum(dim=1), (1, 0))  # −g, exact for any δ
    return mean + steps - steps.mean(dim=1, keepdim=True), delta


def _log_probabilities(z: Tensor, log_parts: Tensor) -> Tensor:
    """Return log p ``(B, C)`` of z ``(B, C − 1)`` and log (1 − e^{−g}) ``(B, C − 2)``."""
    above = F.logsigmoid(F.pad(z, (1, 0), value=torch.inf))
    below = F.logsigmoid(F.pad(-z, (0, 1), value=torch.inf))
    return above + below + F.pad(log_parts, (1, 1))


def _tails(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Return B_k and A_k of k = 0 … C − 2, each summed from its own end."""
    below = probabilities.cumsum(dim=1)[:, :-1]
    return below, probabilities.flip(1).cumsum(dim=1).flip(1)[:, 1:]
