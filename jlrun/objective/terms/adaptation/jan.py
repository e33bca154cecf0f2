"""JAN: equal joint kernel means of features and predictions."""

# f features, p predicted probabilities

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.adaptation.domains import (
    feature_rows,
    paired_class_heads,
    sum_over_heads,
)
from jlrun.objective.terms.adaptation.mmd import (
    HALVINGS,
    Widths,
    gaussian_kernel,
    gaussian_kernels,
    mean_discrepancy,
)
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.tasks.classification import class_log_probabilities


class JAN(Term):
    """R = Σ_heads mean over sources of the discrepancy with the kernel k_f(f, f′) · k_p(p, p′).

    The joint maximum mean discrepancy of Long et al., "Deep Transfer Learning with Joint Adaptation
    Networks", ICML 2017, section 4.1. k_f is that of `MMD`, k_p one Gaussian. Differs from it in:
    the layers are the fused features and the predictions, and all pairs count, not one pair per
    row. The heads are those with exclusive classes that source and target share. The Transfer
    Learning Library's, not linear, is the unbiased one plus the constant 2 / (n − 1).

    Args:
        weight: strength α of the term.
        kernels: σ² of the Gaussians of k_f, as multiples of the mean squared distance.
        prediction_sigma: σ of k_p.
        unbiased: whether pairs of a row with itself are left out; then R may be negative.
    """

    needs: ClassVar[Need | None] = "target"
    compares_rows = True

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        kernels: Widths = HALVINGS,
        prediction_sigma: PositiveFloat = 0.92,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.kernels = tuple(kernels)
        self.prediction_sigma = prediction_sigma
        self.unbiased = unbiased

    def begin_phase(self, start: PhaseStart) -> None:
        """Check that source and target share predictions.

        Raises:
            UserError: if source and target share no head with exclusive classes.
        """
        paired_class_heads(start, "jan")

    def forward(self, view: StepView) -> Tensor:
        return sum_over_heads(view, partial(self._loss, view))

    def _loss(
        self, view: StepView, head: str, name: str, source: Outputs, target: Outputs
    ) -> Tensor:
        both = (source, target)
        f = torch.cat([feature_rows(outputs, "jan") for outputs in both])
        log_p = [class_log_probabilities(view.tasks[head], o.logits[head]) for o in both]
        of_predictions = gaussian_kernel(torch.cat(log_p).exp(), self.prediction_sigma)
        kernel = gaussian_kernels(f, self.kernels) * of_predictions
        return mean_discrepancy(kernel, len(source.fused), self.unbiased)
