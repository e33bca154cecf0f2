"""The contrastive loss of SimCLR and of supervised contrastive learning."""

# M rows, of all views;  P width of the projections;  τ temperature

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(z: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return the mean over rows i of −1/|P(i)| Σ_{p∈P(i)} log softmax_{a≠i}(cos(z_i, z_a) / τ)_p.

    P(i) are the other rows of the same class: eq. (2) of Khosla et al., "Supervised Contrastive
    Learning", NeurIPS 2020 (L_out). With a class for each pair of views it is NT-Xent, eq. (1) of
    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

    Args:
        z: projections ``(M, P)``, of any length.
        classes: ``(M,)``; each occurs twice at least.
        temperature: τ.
    """
    z = F.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_share = similarity.log_softmax(dim=1)
    positive = (classes[:, None] == classes) & ~itself
    return -(log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()
