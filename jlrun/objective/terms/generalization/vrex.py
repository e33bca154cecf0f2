"""V-REx: equal risks on all sources."""

# e sources, R_e risk of a source, β strength

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from jlrun.objective.labelled_rows import row_losses
from jlrun.objective.ramps import annealed
from jlrun.objective.terms.base import StepView, Term, precise, total
from jlrun.ranges import Fraction, NonNegativeFloat


class VREx(Term):
    """R = c Σ_heads Var_e R_e: the variance, over sources, of the mean loss on a source.

    V-REx of Krueger et al., "Out-of-Distribution Generalization via Risk Extrapolation", ICML 2021.
    c is 1 at first and then ``penalty_weight``, as in DomainBed (Gulrajani & Lopez-Paz, 2021).
    Differs from it in: the change comes after a share of the phase's steps in the place of 500, and
    the optimizer's state is kept there. In a step with labelled rows of one source alone it is 0.

    Args:
        weight: strength of the term.
        penalty_weight: c after the first part of the phase (the paper's β).
        anneal_share: the first part, as a share of the phase's steps.
    """

    needs = "several sources"

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        penalty_weight: NonNegativeFloat = 10.0,
        anneal_share: Fraction = 0.1,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.penalty_weight = penalty_weight
        self.anneal_share = anneal_share

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return True: annealing follows the progress of the phase."""
        return True

    def forward(self, view: StepView) -> Tensor:
        factor = annealed(view.progress, self.anneal_share, self.penalty_weight)
        return factor * precise(total(_variances(view), view))


def _variances(view: StepView) -> Iterator[Tensor]:
    for head, columns in view.labelled_sources.items():
        losses = (
            row_losses(
                view.tasks[head],
                precise(view.outputs[stream].logits[head]),
                view.batches[stream],
                column,
            )
            for stream, column in columns.items()
        )
        risks = [rows.mean() for rows in losses if len(rows)]
        if len(risks) > 1:
            yield torch.stack(risks).var(correction=0)
