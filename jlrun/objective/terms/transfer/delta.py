"""DELTA: feature maps stay near those of the phase's start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel
from jlrun.models.trunk import Trunk
from jlrun.objective.terms.base import PhaseStart, StepView, Term, precise, total
from jlrun.objective.terms.transfer.frozen import FrozenModel
from jlrun.ranges import NonNegativeFloat


class DELTA(Term):
    """R = ½ Σ_stages mean_rows Σ_channels mean_positions (FM − FM⁰)².

    FM are the maps that a stage of an encoder yields, FM⁰ those of the same stage with the weights
    of the phase's start. The behavioural regularizer of Li et al., "DELTA: Deep Learning Transfer
    using Feature Map with Attention", ICLR 2019. Differs from it in: all channels have the
    same attention; the sum over positions is a mean, as in the authors' code; new layers have
    weight decay alone. A sum over the encoders of all modalities, and a mean over the streams.

    Args:
        weight: strength α of the term.
        stages: ``all`` compares what every stage of the encoders yields, for which the encoders
            are run once more, with gradients; ``last`` only their features, and costs no more than
            the forward pass of the start.
    """

    needs = "learned weights"
    start: FrozenModel

    def __init__(
        self, weight: NonNegativeFloat = 0.1, stages: Literal["all", "last"] = "all"
    ) -> None:
        super().__init__()
        self.weight = weight
        self.stages = stages

    def begin_phase(self, start: PhaseStart) -> None:
        self.start = FrozenModel(start.model)

    def forward(self, view: StepView) -> Tensor:
        pairs = self._all_stages if self.stages == "all" else self._features
        distances = [_distance(a, b) for name in view.outputs for a, b in pairs(view, name)]
        return precise(total(distances, view)) / max(len(view.outputs), 1)

    def _features(self, view: StepView, stream: str) -> Iterator[tuple[Tensor, Tensor]]:
        batch = view.batches[stream]
        first = self.start(batch).features
        for modality, features in view.outputs[stream].features.items():
            rows = batch.present.get(modality, slice(None))
            yield features[rows], first[modality][rows]

    def _all_stages(self, view: StepView, stream: str) -> Iterator[tuple[Tensor, Tensor]]:
        batch, model = view.batches[stream], cast(JointModel, view.model)
        with _still_statistics(model):
            own = stage_maps(model, batch)
        with torch.no_grad():
            first = stage_maps(self.start.model, batch)
        return zip(own, first, strict=True)


def stage_maps(model: JointModel, batch: Batch) -> list[Tensor]:
    """Return what each stage of each encoder yields, ``(B_m, C, ...)``, of the present rows."""
    maps = []
    for trunk in (module for module in model.modules() if isinstance(module, Trunk)):
        for modality, x in trunk.present_rows(batch).items():
            for stage in trunk.stages(modality):
                x = stage.run(x)
                maps.append(x)
    return maps


def _distance(a: Tensor, b: Tensor) -> Tensor:
    gap = precise(a) - precise(b)
    per_channel = gap.square().flatten(2).mean(dim=2) if gap.ndim > 2 else gap.square()
    return per_channel.sum(dim=1).sum() / max(len(a), 1) / 2


@contextmanager
def _still_statistics(model: nn.Module) -> Iterator[None]:
    """Normalise by the batch where training does, but count it once: running statistics stay."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    counts = [None if (n := norm.num_batches_tracked) is None else n.clone() for norm in norms]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
