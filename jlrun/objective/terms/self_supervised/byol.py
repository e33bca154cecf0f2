"""BYOL: one view predicts a moving-average teacher's projection of the other view."""

# τ momentum of the teacher;  p share of the phase's steps that are done

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.joint_model import JointModel
from jlrun.models.module_state import unchanged_buffers
from jlrun.objective.terms.base import (
    Need,
    PhaseStart,
    StepView,
    Term,
    full_precision,
    no_loss,
    precise,
)
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import encode_views
from jlrun.ranges import NonNegativeFloat, PositiveInt, Probability


class BYOL(Term):
    """R = the mean over rows of 2 − 2 cos(q, z′), summed over both directions.

    q is the prediction from a view, z′ the teacher's projection of the other view. The teacher is a
    copy of the body and projector that follows them: ξ ← τ ξ + (1 − τ) θ after each step, with
    τ = 1 − (1 − momentum) (cos(π p) + 1) / 2. Eqs. (1) and (2) and section 3.3 of Grill et al.,
    "Bootstrap Your Own Latent", NeurIPS 2020. Differs from it in: smaller sizes, both views pass
    together, so that BatchNorm normalises them together, and the momentum starts at 0.99, the
    paper's for 300 epochs. The teacher is in the mode, training or evaluation, that each part of
    the model is in, and its buffers are those of the model after the last step.

    Args:
        weight: strength α of the term.
        momentum: of the teacher at the start; it ends at 1.
        hidden: units of the hidden layers of projector and predictor.
        out_features: width of projections and predictions.
    """

    needs: ClassVar[Need | None] = "views"
    projector: nn.Module
    predictor: nn.Module
    teacher: JointModel
    teacher_projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        momentum: Probability = 0.99,
        hidden: PositiveInt = 1024,
        out_features: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.momentum = momentum
        self.hidden = hidden
        self.out_features = out_features

    def begin_phase(self, start: PhaseStart) -> None:
        model = start.model
        made = projector(fused_width(model), self.hidden, self.out_features)
        self.projector = placed(made, model)
        self.predictor = placed(projector(self.out_features, self.hidden, self.out_features), model)
        # The names of heads only: a body may compute features per head.
        no_heads = {name: nn.Identity() for name in model.heads}
        self.teacher = JointModel(copy.deepcopy(model.body), no_heads).requires_grad_(False)
        self.teacher_projector = copy.deepcopy(self.projector).requires_grad_(False)

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return True: the teacher's momentum grows over the phase."""
        return True

    def forward(self, view: StepView) -> Tensor:
        features = encode_views(view)
        if features is None:
            return no_loss(view)
        predicted = precise(self.predictor(self.projector(features)))
        target = self._targets(view)
        with full_precision(predicted):
            cosine = F.cosine_similarity(predicted, target, dim=1)
        return 2 * (2 - 2 * cosine).mean()

    @torch.no_grad()
    def _targets(self, view: StepView) -> Tensor:
        """Return for each prediction the teacher's projection of the other view, ``(2 N, P)``."""
        model = cast(JointModel, view.model)
        for own, copied in zip(model.body.modules(), self.teacher.body.modules(), strict=True):
            copied.training = own.training
        with unchanged_buffers(self.teacher):
            features = encode_views(StepView(self.teacher, view.batches, {}, view.progress))
        assert features is not None
        first, second = precise(self.teacher_projector(features)).chunk(2)
        return torch.cat([second, first])

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        body = cast(JointModel, model).body
        keep = teacher_momentum(self.momentum, progress)
        for own, copied in ((body, self.teacher.body), (self.projector, self.teacher_projector)):
            for new, old in zip(own.parameters(), copied.parameters(), strict=True):
                old.lerp_(new, 1 - keep)
            for new, old in zip(own.buffers(), copied.buffers(), strict=True):
                old.copy_(new)


def teacher_momentum(start: float, progress: float) -> float:
    """Return τ: from ``start`` to 1 along half a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2
