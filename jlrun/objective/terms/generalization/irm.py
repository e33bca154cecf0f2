"""IRM: features on which one classifier is optimal for every source."""

# e sources, R^e risk of a source, w scale of the logits, always 1

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.objective.labelled_rows import row_losses
from jlrun.objective.ramps import annealed
from jlrun.objective.terms.base import StepView, Term, precise, total
from jlrun.ranges import Fraction, NonNegativeFloat
from jlrun.tasks import Task


class IRM(Term):
    """R = c Σ_heads mean_e (∂R^e/∂w)²: at each source, no other scale of the logits is better.

    IRMv1 of Arjovsky et al., "Invariant Risk Minimization", 2019, its practical objective and the
    unbiased estimate of its appendix D: the product of the derivatives of two halves of the rows,
    which may be negative. c is 1 at first and then ``penalty_weight``, as in DomainBed (Gulrajani &
    Lopez-Paz, 2021). Differs from it in: the change comes after a share of the phase's steps in the
    place of 500, and the optimizer's state is kept there.

    Args:
        weight: strength of the term.
        penalty_weight: c after the first part of the phase (the paper's λ).
        anneal_share: the first part, as a share of the phase's steps.
        unbiased: whether the derivative is that of two halves, multiplied; else that of all rows,
            squared, which batches of a few rows enlarge by their noise. A source with less than two
            labelled rows has no halves, and counts as 0.
    """

    needs = "several sources"

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        penalty_weight: NonNegativeFloat = 100.0,
        anneal_share: Fraction = 0.1,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.penalty_weight = penalty_weight
        self.anneal_share = anneal_share
        self.unbiased = unbiased

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return True: annealing follows the progress of the phase."""
        return True

    def forward(self, view: StepView) -> Tensor:
        factor = annealed(view.progress, self.anneal_share, self.penalty_weight)
        return factor * precise(total(self._penalties(view), view))

    def _penalties(self, view: StepView) -> Iterator[Tensor]:
        for head, columns in view.labelled_sources.items():
            for stream, column in columns.items():
                slopes = scale_slopes(
                    view.tasks[head],
                    view.outputs[stream].logits[head],
                    view.batches[stream],
                    column,
                )
                yield self._square(slopes) / len(columns)

    def _square(self, slopes: Tensor) -> Tensor:
        if not self.unbiased:
            return (slopes.sum() / max(len(slopes), 1)).square()
        halves = slopes[::2], slopes[1::2]
        return halves[0].sum() * halves[1].sum() / max(len(halves[0]) * len(halves[1]), 1)


def scale_slopes(task: Task, logits: Tensor, batch: Batch, column: str) -> Tensor:
    """Return ∂ℓ/∂w at w = 1 of each labelled row's loss ℓ on the logits times w, ``(N,)``.

    It can be differentiated again where gradients are on.
    """
    differentiable = torch.is_grad_enabled()
    z = precise(logits)
    rows = batch.labelled.get(column)
    with torch.enable_grad():
        scales = z.new_ones(len(z)).requires_grad_()
        losses = row_losses(task, z * scales.view(-1, *[1] * (z.ndim - 1)), batch, column)
        (slopes,) = torch.autograd.grad(losses.sum(), scales, create_graph=differentiable)
    return slopes if rows is None else slopes[rows]
