"""NCCL: the collectives of ranks on one GPU by itself, and a run on two."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.ranks.batch_norm import NormalisedTogether, moments_of_all
from jlrun.ranks.group import Ranks
from jlrun.ranks.reducer import GradientReducer
from tests.ranks.test_sharded_gpu import SMALL, losses

pytestmark = pytest.mark.gpu


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Ranks]:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    dist.init_process_group(
        "nccl", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        yield Ranks(0, 1, 0)
    finally:
        dist.destroy_process_group()


def test_collectives(world: Ranks) -> None:
    x = torch.arange(6.0, device="cuda").view(3, 2)
    assert torch.equal(world.sum(x), x)
    assert torch.equal(world.gather_rows(x, 3), x)
    assert torch.equal(world.begin_sum(x.clone())(), x)


def test_buckets_are_sent_while_the_backward_pass_goes_on(world: Ranks) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4)).cuda()
    unused = nn.Parameter(torch.zeros(3, device="cuda"))
    loss = model(torch.randn(8, 64, device="cuda")).square().mean()
    expected = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    reducer = GradientReducer(world, [*model.parameters(), unused], follows=True)
    with reducer.following():
        loss.backward()
    reducer.finish()
    found = [p.grad for p in model.parameters()]
    torch.testing.assert_close(found, list(expected))
    assert unused.grad is None


def test_batch_norm_over_ranks(world: Ranks) -> None:
    torch.manual_seed(0)
    x, h = (torch.randn(8, 4, 3, 5, device="cuda", dtype=torch.float64) for _ in range(2))
    weight, bias = (torch.randn(4, device="cuda", dtype=torch.float64) for _ in range(2))
    inputs = [each.requires_grad_() for each in (x, weight, bias)]
    y = F.batch_norm(x, None, None, weight, bias, True)
    expected = [y, *torch.autograd.grad(y, inputs, h)]
    mean, var, count = moments_of_all(x.detach(), world)
    found = NormalisedTogether.apply(x, weight, bias, mean, var, count, 1e-5, world)
    assert isinstance(found, Tensor)
    torch.testing.assert_close([found, *torch.autograd.grad(found, inputs, h)], expected)


@pytest.mark.parametrize("weighting", ["equal", "pcgrad"])
def test_two_gpus_are_one(tmp_path: Path, weighting: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    several = losses(tmp_path / "two", f"weighting={weighting}")
    command = [sys.executable, "-m", "jlrun", *SMALL, f"weighting={weighting}"]
    subprocess.run([*command, f"hydra.run.dir={tmp_path / 'one'}"], check=True, timeout=600)
    scores = json.loads((tmp_path / "one" / "result.json").read_text())["val"]
    assert several == pytest.approx([each["loss"] for each in scores.values()], rel=1e-4)
