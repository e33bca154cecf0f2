"""Contrastive losses of pairs of projections."""

# N rows;  P width of the space;  x, y projections of length 1;  t scale, b bias

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def symmetric_contrastive(x: Tensor, y: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
    """Return the mean of both directions of −1/|P(i)| Σ_{p∈P(i)} log softmax_j(t x_i·y_j)_p.

    With one positive per row it is the loss of Radford et al., "Learning Transferable Visual Models
    From Natural Language Supervision", ICML 2021, figure 3; with several that of Yang et al.,
    "Unified Contrastive Learning in Image-Text-Label Space", CVPR 2022.

    Args:
        x, y: ``(N, P)``, of length 1.
        positive: Bool ``(N, N)``, symmetric, true on the diagonal.
        scale: t, a scalar.
    """
    logits = scale * x @ y.T
    return (spread_cross_entropy(logits, positive) + spread_cross_entropy(logits.T, positive)) / 2


def spread_cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    """Return the mean over rows of the cross-entropy with even shares on their positives.

    Args:
        logits: ``(N, M)``; −∞ for what is left out.
        positive: Bool ``(N, M)``, with at least one in each row.
    """
    log_share = logits.log_softmax(dim=1)
    return -(log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()


def sigmoid_contrastive(
    x: Tensor, y: Tensor, positive: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Return −1/N Σ_ij log σ(z_ij (t x_i·y_j + b)), z_ij 1 for positives and −1 for others.

    Algorithm 1 of Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023.

    Args:
        x, y: ``(N, P)``, of length 1.
        positive: Bool ``(N, N)``.
        scale, bias: t and b, scalars.
    """
    logits = scale * x @ y.T + bias
    signs = 2 * positive.to(logits.dtype) - 1
    return -F.logsigmoid(signs * logits).sum() / len(x)
