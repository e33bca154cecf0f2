"""MMPareto: each encoder follows a combination of multimodal and unimodal gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models.joint_model import encoder_parameters
from jlrun.objective.balance.base import (
    TAG,
    Balance,
    BalanceStart,
    Measured,
    MicroBatchView,
    StepDone,
)
from jlrun.objective.balance.encoder_gradients import flat, put
from jlrun.objective.balance.unimodal import UnimodalHeads, coefficient_readings, loss_readings
from jlrun.objective.weightings.base import (
    GradientWeighting,
    GramianWeighting,
    TaskGradients,
    Weighting,
)
from jlrun.objective.weightings.gramian import cosines_of
from jlrun.objective.weightings.mgda import shortest_combination
from jlrun.ranges import PositiveFloat

LOSSES = ("multimodal", "unimodal")


class Pareto(GramianWeighting):
    """w_i = 1/A if no two of the A gradients conflict, else the w of MGDA.

    Wei & Hu, "MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance", ICML 2024,
    section 3.3.

    Args:
        tasks: names of the losses.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        array = gramian.numpy()
        if (array >= 0).all():
            return torch.full((len(array),), 1 / len(array), dtype=torch.float64)
        return torch.from_numpy(shortest_combination(array))


class MMPareto(Balance):
    """Encoder m takes γ h: a weighting's h of g_mm and g_m, no shorter than their sum.

    g_mm and g_m are the gradients by the encoder of the multimodal loss and of the loss L_m of a
    linear unimodal head; h is rescaled to ‖g_mm + g_m‖ where it is shorter. Heads and fusion follow
    the plain sum L_mm + Σ_m L_m. Wei & Hu, "MMPareto: Boosting Multimodal Learning with Innocent
    Unimodal Assistance", ICML 2024, algorithm 1.

    The multimodal loss is all that is learned without the unimodal losses: what a weighting of
    losses makes of the tasks, and the terms. Differs from the paper in: several tasks (L_m is the
    plain sum of theirs), and any weighting of gradients in the place of the paper's (`Pareto`).
    Norms are those of the encoder, as in the paper; the authors' code rescales each parameter.

    Args:
        weighting: names of the two losses -> the weighting that combines their gradients.
        gamma: γ, factor of the result.
    """

    has_encoder_losses = True

    def __init__(
        self,
        weighting: Callable[[tuple[str, ...]], Weighting] = Pareto,
        gamma: PositiveFloat = 1.5,
    ) -> None:
        super().__init__()
        self.make_weighting = weighting
        self.gamma = gamma

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        if isinstance(start.weighting, GradientWeighting):
            found = type(start.weighting).__name__
            raise UserError.of(
                "balance",
                f"mmpareto and the weighting {found} both combine gradients into the update of the "
                "encoders; choose one of losses, such as weighting=equal, or another balance",
            )
        self.heads = UnimodalHeads(start)
        self.weightings = nn.ModuleDict({m: self._weighting() for m in self.modalities})

    def measure(self, view: MicroBatchView) -> Measured:
        losses = self.heads.losses(view)
        own = (losses * view.scales).sum(dim=1).unbind()
        by_modality = dict(zip(self.modalities, own, strict=True))
        return Measured(encoder_losses=by_modality, seen={"losses": losses.detach()})

    @torch.no_grad()
    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        losses, counts = done.seen["losses"], done.counts
        for i, modality in enumerate(self.modalities):
            if modality in done.encoder_gradients:
                self._combine(done, modality, bool(counts[i].any()))
        made = [cast(GradientWeighting, self.weightings[m]) for m in self.modalities]
        readings = coefficient_readings(
            torch.stack([w.last_weights[1] for w in made]), self.modalities
        )
        readings |= {
            f"{TAG}{m}/cosine": cosines_of(w.last_gramian)[0, 1]
            for m, w in zip(self.modalities, made, strict=True)
        }
        return readings | loss_readings(losses, counts, self.modalities, self.objectives)

    def _combine(self, done: StepDone, modality: str, active: bool) -> None:
        """Replace the multimodal gradient of an encoder by the combination."""
        parameters = encoder_parameters(done.model, modality)
        multimodal = flat([p.grad for p in parameters], parameters)
        jacobian = torch.stack([multimodal, done.encoder_gradients[modality]]) / done.scale
        total = jacobian.sum(dim=0)
        gradients = TaskGradients(
            names=LOSSES,
            losses=torch.ones(2, device=total.device),
            active=torch.tensor([True, active], device=total.device),
            samples=(jacobian,),
        )
        update = total
        if bool(torch.isfinite(gradients.gramian).all()):  # else the scaler skips the step
            weighting = cast(GradientWeighting, self.weightings[modality])
            weighting.last_active = gradients.active
            weighting.last_gramian = gradients.gramian.to(weighting.last_gramian)
            update = rescaled(weighting(gradients), total)
        put(parameters, update * (self.gamma * done.scale))

    def _weighting(self) -> GradientWeighting:
        made = self.make_weighting(LOSSES)
        name = type(made).__name__
        if not isinstance(made, GradientWeighting):
            raise UserError.of(
                "balance.weighting",
                f"{name} weighs losses; one of gradients is needed, such as "
                "jlrun.objective.weightings.MGDA",
            )
        if made.num_samples > 1:
            raise UserError.of(
                "balance.weighting",
                f"{name} compares gradients of {made.num_samples} parts of a batch, which are not "
                "kept separate here; choose another, such as jlrun.objective.weightings.MGDA",
            )
        return made


def rescaled(update: Tensor, total: Tensor) -> Tensor:
    """Return ``update (N,)``, no shorter than ``total (N,)``; as it is where it is zero."""
    length, least = update.norm(), total.norm()
    longer = least / length.clamp(min=torch.finfo(length.dtype).tiny)
    return update * longer if 0 < float(length) < float(least) else update
