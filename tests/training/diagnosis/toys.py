"""Tasks whose gradients, and whose losses after a step, are known in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from jlrun.engine import Engine
from jlrun.models.encoders.point import Point
from jlrun.models.fusions import Single
from jlrun.tasks import Regression, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Phase
from tests.toy import CPU, SPEC, hard_model, toy_phase


class Distance(Regression):
    """L(θ) = ½ ‖θ − c‖², whatever the target: ∇L = θ − c.

    Args:
        centre: c.
    """

    def __init__(self, centre: Sequence[float]) -> None:
        super().__init__()
        self.centre = torch.tensor(centre)

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return len(self.centre)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return (logits - self.centre).square().sum(dim=1) / 2


def point_phase(centres: Mapping[str, Sequence[float]]) -> Phase:
    """Return a phase whose tasks pull a point towards their centres, with a step size of 0.1."""
    specs = [TaskSpec(name, Distance(c), (), target="sign") for name, c in centres.items()]
    objectives = tuple(Objective(spec.name, "dataset", spec, spec.name) for spec in specs)
    return replace(toy_phase(), objectives=objectives, selection=objectives)


def point_learner(phase: Phase, start: Sequence[float], engine: Engine | None = None) -> Learner:
    """Return a learner whose only parameters are the point, at its learning rate."""
    encoder = Point(SPEC, list(start))
    heads = {o.head: nn.Identity() for o in phase.objectives}
    model = hard_model({"x": encoder}, Single({"x": len(start)}), heads)
    learner = build_learner(model, phase, engine or Engine(CPU))
    learner.set_lr(1.0)
    return learner
