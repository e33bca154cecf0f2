"""BatchNorm of several ranks: by the rows of all, or by those of each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.engine import Engine
from jlrun.models.encoders import CNN
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.ranks.batch_norm import NormalisedTogether, moments_of_all
from jlrun.ranks.world import ALONE, World
from jlrun.training.learner import build_learner
from jlrun.training.step import train_step
from tests.ranks.comparing import assert_close
from tests.ranks.processes import SIZES, Processes
from tests.ranks.sharded import SPEC, images
from tests.toy import CPU, TASKS, hard_model, toy_phase

ROWS, STEPS, MOMENTUM = 12, 3, 0.1
SHAPES = {"vectors": (9, 4), "series": (6, 4, 5), "images": (8, 4, 3, 5)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("channels_last", [False, True])
def test_fused_kernels_are_those_of_one_process(
    shape: tuple[int, ...], affine: bool, channels_last: bool
) -> None:
    torch.manual_seed(0)
    x, h = (torch.randn(shape, dtype=torch.float64) for _ in range(2))
    if channels_last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    weight, bias = (torch.randn(4, dtype=torch.float64) if affine else None for _ in range(2))
    inputs = [each.requires_grad_() for each in (x, weight, bias) if each is not None]

    def gradients(y: Tensor) -> list[Tensor]:
        return [y, *torch.autograd.grad(y, inputs, h)]

    expected = gradients(F.batch_norm(x, None, None, weight, bias, True))
    mean, var, count = moments_of_all(x.detach(), ALONE)
    y = NormalisedTogether.apply(x, weight, bias, mean, var, count, 1e-5, ALONE)
    assert isinstance(y, Tensor)
    torch.testing.assert_close(gradients(y), expected, rtol=1e-10, atol=1e-10)


def model() -> JointModel:
    torch.manual_seed(0)
    encoder = CNN(SPEC, channels=[3, 5], hidden=7, dropout=0.0, batch_norm=True)
    heads = {spec.name: Linear(encoder.out_features, spec.num_outputs) for spec in TASKS}
    fusion = Single({"image": encoder.out_features})
    return hard_model({"image": encoder}, fusion, heads).double()


def trained(world: World, accumulate: int, steps: int = STEPS) -> dict[str, Tensor]:
    """Train with BatchNorm of each rank, or of each micro-batch, by itself."""
    engine = Engine(CPU, world=world, sync_batchnorm=False, accumulate=accumulate)
    phase = toy_phase()
    learner = build_learner(model(), phase, engine)
    for number in range(steps):
        learner.set_lr(0.2)
        train_step(learner, phase, {"dataset": images(ROWS, number)}, engine, number)
    return dict(learner.model.state_dict())


@pytest.mark.parametrize("size", SIZES)
def test_ranks_by_themselves_are_micro_batches_of_one_process(
    processes: Processes, size: int
) -> None:
    first, *others = processes.run(size, trained, 1)
    for other in others:
        assert_close(first, other, tolerance=0.0)
    alone = trained(ALONE, size)

    def learned(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: x for k, x in state.items() if "running" not in k and "batches" not in k}

    assert_close(learned(alone), learned(first))
    assert max(float((alone[k] - first[k]).abs().max()) for k in alone if "running" in k) > 1e-4


def test_running_statistics_are_means_over_the_ranks(processes: Processes) -> None:
    first, _ = processes.run(2, trained, 1, 1)
    convolution = next(m for m in model().modules() if isinstance(m, torch.nn.Conv2d))
    with torch.no_grad():
        found = convolution(images(ROWS, 0).inputs["image"])
    halves = found.split(ROWS // 2)
    mean = sum(half.mean(dim=(0, 2, 3)) for half in halves) / 2
    var = sum(half.var(dim=(0, 2, 3)) for half in halves) / 2
    names = [name for name in first if name.endswith("running_mean")]
    assert isinstance(mean, Tensor)
    torch.testing.assert_close(first[names[0]], MOMENTUM * mean)
    variance = first[names[0].replace("mean", "var")]
    torch.testing.assert_close(variance, 1 - MOMENTUM + MOMENTUM * var)
