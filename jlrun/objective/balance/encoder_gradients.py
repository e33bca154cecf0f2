"""Gradients of unimodal losses by their encoders, kept separate from all other gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from jlrun.ranks.world import World


class EncoderGradients:
    """Gradients of one loss per modality by its encoder, summed over a step's micro-batches.

    Args:
        parameters: modality -> the parameters that train of its encoder.
    """

    def __init__(self, parameters: Mapping[str, Sequence[nn.Parameter]] | None = None) -> None:
        self._parameters = parameters or {}
        self._sums: dict[str, list[Tensor | None]] = {
            modality: [None] * len(found) for modality, found in self._parameters.items()
        }

    def add(self, losses: Mapping[str, Tensor], scale: float) -> Tensor:
        """Go back from ``scale`` times each loss, keeping the graph; return their sum, detached.

        All other parameters get the gradient as usual.
        """
        for modality, loss in losses.items():
            if loss.requires_grad:
                self._add(modality, loss * scale)
        return torch.stack([loss.detach() for loss in losses.values()]).sum()

    def gradients(self) -> dict[str, Tensor]:
        """Return modality -> gradient ``(N_m,)``, zero where no loss reached a parameter."""
        return {m: flat(self._sums[m], found) for m, found in self._parameters.items() if found}

    def average(self, world: World) -> None:
        """Average the gradients over the ranks, before anyone asks for them."""
        if not world.several or not self._parameters:
            return
        for modality, found in self.gradients().items():
            mean = world.average(found).split([p.numel() for p in self._parameters[modality]])
            shaped = zip(mean, self._parameters[modality], strict=True)
            self._sums[modality] = [piece.view(p.shape) for piece, p in shaped]

    def _add(self, modality: str, loss: Tensor) -> None:
        parameters = self._parameters[modality]
        usual = [parameter.grad for parameter in parameters]
        for parameter, kept in zip(parameters, self._sums[modality], strict=True):
            parameter.grad = kept
        torch.autograd.backward(loss, retain_graph=True)
        self._sums[modality] = [parameter.grad for parameter in parameters]
        for parameter, grad in zip(parameters, usual, strict=True):
            parameter.grad = grad


def flat(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    """Return gradients end to end ``(N,)``; zeros for None."""
    pairs = zip(gradients, like, strict=True)
    return torch.cat(
        [torch.zeros_like(x).flatten() if g is None else g.flatten() for g, x in pairs]
    )


def put(parameters: Sequence[nn.Parameter], gradient: Tensor) -> None:
    """Make ``gradient (N,)`` the gradient of the parameters."""
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, piece in zip(parameters, gradient.split(sizes), strict=True):
        # Into the gradient that is there: its memory format is that of the parameter.
        grad = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = grad.copy_(piece.view(parameter.shape))
