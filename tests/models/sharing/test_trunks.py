"""Ways of sharing with trunks of each task, or passes of each task, against what they are."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models.sharing import LTB, MTAN, CrossStitch, Hard, Soft, TaskLoRA
from jlrun.models.sharing.cross_stitch import Stitch
from jlrun.models.sharing.ltb import Choice
from jlrun.models.sharing.mtan import StageAttention, resized
from jlrun.models.sharing.soft import pairwise_l2, trace_norm
from jlrun.models.trunk import Trunk
from tests.models.sharing.small import batch_of, trunk_of

TASKS = ("digit", "parity", "size")
CNN = {"image": "cnn"}


def trunk() -> Trunk:
    return trunk_of(CNN)


def seeded(kind: Any, *args: Any, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    return kind(trunk, TASKS, *args, **kwargs).eval()


# --- soft -----------------------------------------------------------------------------------------


def test_distances_against_their_definitions() -> None:
    rows = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = torch.stack([(rows[i] - rows[j]).square().sum() for i, j in pairs]).sum()
    torch.testing.assert_close(pairwise_l2(rows), expected)
    nuclear = torch.linalg.matrix_norm(rows, ord="nuc")
    torch.testing.assert_close(trace_norm(rows), nuclear)
    for ours, theirs in ((pairwise_l2(rows), expected), (trace_norm(rows), nuclear)):
        found = torch.autograd.grad(ours, rows, retain_graph=True)
        torch.testing.assert_close(found, torch.autograd.grad(theirs, rows, retain_graph=True))


@pytest.mark.parametrize("rows", [torch.zeros(2, 3), torch.ones(3, 2), torch.ones(2, 5) * 1e-20])
def test_the_trace_norm_of_low_rank_has_a_gradient_in_its_rank_only(rows: Tensor) -> None:
    rows.requires_grad_()
    trace_norm(rows).backward()
    grad = cast(Tensor, rows.grad)
    assert grad.isfinite().all()
    assert int(torch.linalg.matrix_rank(grad)) == int(torch.linalg.matrix_rank(rows.detach()))


def test_soft_without_strength_is_independent_models() -> None:
    body, batch = seeded(Soft, strength=0.0, same_start=False), batch_of(CNN)
    assert body.penalty() is None
    found = body(batch, TASKS)
    for task in TASKS:
        assert torch.equal(found.by_task[task], body.trunks[task](batch).fused)
    grads = torch.autograd.grad(
        found.by_task["digit"].sum(), list(body.trunks["parity"].parameters()), allow_unused=True
    )
    assert all(grad is None for grad in grads)


def test_trunks_that_start_the_same_are_at_no_distance() -> None:
    assert float(cast(Tensor, seeded(Soft).penalty()).detach()) == pytest.approx(0.0, abs=1e-9)
    assert float(cast(Tensor, seeded(Soft, same_start=False).penalty()).detach()) > 1e-3


@pytest.mark.parametrize("distance", ["l2", "trace_norm"])
def test_the_penalty_draws_trunks_together(distance: str) -> None:
    body = seeded(Soft, distance=distance, strength=1.0, same_start=False)
    optimizer = torch.optim.SGD(body.parameters(), lr=0.05)
    spread = [_spread(body)]
    for _ in range(20):
        optimizer.zero_grad()
        cast(Tensor, body.penalty()).backward()
        optimizer.step()
    assert _spread(body) < 0.9 * spread[0]


def _spread(body: Soft) -> float:
    weights = [
        dict(t.named_parameters())["encoders.image.hidden.1.weight"] for t in body.trunks.values()
    ]
    singular = torch.linalg.svdvals(torch.stack([w.detach().flatten() for w in weights]))
    return float(singular[1:].sum())


def test_the_trace_norm_is_of_weights_alone() -> None:
    body = seeded(Soft, distance="trace_norm", strength=1.0)
    cast(Tensor, body.penalty()).backward()
    for name, parameter in body.named_parameters():
        assert (parameter.grad is not None) == name.endswith("weight"), name


# --- cross-stitch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("units", ["channel", "layer"])
def test_stitches_of_the_identity_are_separate_trunks(units: str) -> None:
    body, batch = seeded(CrossStitch, units=units, own=1.0), batch_of(CNN)
    found = body(batch, TASKS)
    for task in TASKS:
        torch.testing.assert_close(found.by_task[task], body.trunks[task](batch).fused)


def test_a_stitch_is_equation_1() -> None:
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    unit = Stitch(2, 1, own=0.9)
    torch.testing.assert_close(
        unit(torch.stack([x, y])), torch.stack([0.9 * x + 0.1 * y, 0.1 * x + 0.9 * y])
    )
    torch.testing.assert_close(Stitch(3, 4, own=0.8).shares.sum(dim=1), torch.ones(3, 4))


def test_units_of_a_channel_mix_that_channel() -> None:
    unit = Stitch(2, 3, own=1.0)
    with torch.no_grad():
        unit.shares[0, 1, 2] = 5.0
    maps = torch.randn(2, 4, 3, 2, 2)
    expected = maps.clone()
    expected[0, :, 2] += 5.0 * maps[1, :, 2]
    torch.testing.assert_close(unit(maps), expected)


def test_there_is_a_unit_after_every_stage() -> None:
    body = seeded(CrossStitch)
    assert [unit.shares.shape[2] for unit in body.stitches["image"]] == [4, 6, 8]
    assert [u.shares.shape[2] for u in seeded(CrossStitch, units="layer").stitches["image"]] == [
        1
    ] * 3


# --- attention ------------------------------------------------------------------------------------


def test_attention_is_the_papers_equations() -> None:
    torch.manual_seed(0)
    module, p, below = (
        StageAttention(2, 4, 2).eval(),
        torch.randn(3, 4, 5, 5),
        torch.randn(3, 2, 5, 5),
    )

    def pixel(sequential: nn.Module, x: Tensor) -> Tensor:
        layer = cast(nn.Linear, next(sequential.children()))
        y = torch.einsum("oi,bihw->bohw", layer.weight, x)
        # A fresh BatchNorm in evaluation divides by √(1 + ε).
        return (y + cast(Tensor, layer.bias)[:, None, None]) / (1 + 1e-5) ** 0.5

    f, (g, h) = cast(nn.Module, module.transition), module.mask.children()
    read = torch.cat([p, pixel(f, below).relu()], dim=1)
    expected = p * pixel(h, pixel(g, read).relu()).sigmoid()
    torch.testing.assert_close(module(p, below), expected)


@pytest.mark.parametrize("size", [(2, 3), (4, 4), (7, 5), (1, 1)])
def test_maps_are_averaged_as_adaptive_pooling_does(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, 7, 5)
    expected = nn.functional.adaptive_avg_pool2d(maps, size).flatten(2)
    torch.testing.assert_close(resized(maps, torch.Size(size)), expected)


def test_maps_that_a_vector_reads_are_averaged() -> None:
    maps = torch.randn(2, 3, 7, 5)
    torch.testing.assert_close(resized(maps, torch.Size(()))[:, :, 0], maps.mean(dim=(2, 3)))


def test_the_shared_trunk_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body, calls = seeded(MTAN), []
    convolution = body.any_trunk.encoders["image"].convolutions[0]
    convolution.register_forward_hook(lambda *_: calls.append(1))
    body(batch_of(CNN), TASKS)
    assert len(calls) == 1


def test_attention_of_masks_of_one_is_hard_sharing() -> None:
    body, batch = seeded(MTAN), batch_of(CNN)
    with torch.no_grad():
        for module in body.attention.modules():
            if isinstance(module, StageAttention):
                cast(nn.Linear, module.mask[1][0]).weight.zero_()  # pyright: ignore
                cast(nn.Linear, module.mask[1][0]).bias.fill_(50.0)  # pyright: ignore
    expected = body.any_trunk(batch).fused
    for x in body(batch, TASKS).by_task.values():
        torch.testing.assert_close(x, expected)


# --- adapters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["cnn", "lenet", "audio_cnn", "words", "resnet18"])
def test_adapters_start_as_hard_sharing(encoder: str) -> None:
    def make() -> Trunk:
        torch.manual_seed(0)
        return trunk_of({"x": encoder})

    batch, hard = batch_of({"x": encoder}), Hard(make, TASKS).eval()
    adapted = TaskLoRA(make, TASKS).eval()
    torch.testing.assert_close(adapted(batch, TASKS).by_task, dict(hard(batch, TASKS).by_task))


def test_an_adapted_weight_is_w_plus_alpha_over_r_times_ba() -> None:
    body, batch = seeded(TaskLoRA, rank=2, alpha=6.0), batch_of(CNN)
    names = [n for n, p in body.any_trunk.named_parameters() if p.dim() >= 2]
    weights = dict(body.any_trunk.named_parameters())
    plain = trunk().eval()
    plain.load_state_dict(body.any_trunk.state_dict())
    with torch.no_grad():
        for name, adapter in zip(names, body.adapters["parity"], strict=True):
            adapter.b.normal_()
            change = 3.0 * torch.einsum("or,ri->oi", adapter.b, adapter.a)
            expected = weights[name] + change.reshape(weights[name].shape)
            dict(plain.named_parameters())[name].copy_(expected)
        found = body(batch, TASKS).by_task
        torch.testing.assert_close(found["parity"], plain(batch).fused)
        torch.testing.assert_close(found["digit"], body.any_trunk(batch).fused)


def test_adapters_are_small() -> None:
    body = seeded(TaskLoRA, rank=1)
    own = sum(p.numel() for p in body.adapters["digit"].parameters())
    weights = [p for p in body.any_trunk.parameters() if p.dim() >= 2]
    assert own == sum(p.shape[0] + p[0].numel() for p in weights)


def test_a_trunk_without_weights_cannot_be_adapted() -> None:
    with pytest.raises(UserError, match="sharing=hard"):
        TaskLoRA(lambda: trunk_of({"x": "pixels"}), TASKS)


# --- branches -------------------------------------------------------------------------------------


def test_a_tree_of_own_branches_is_separate_trunks() -> None:
    body, batch = seeded(LTB), batch_of(CNN)
    found = body(batch, TASKS)
    for number, task in enumerate(TASKS):
        torch.testing.assert_close(found.by_task[task], body.trunks[f"branch{number}"](batch).fused)


def test_a_tree_of_one_branch_is_hard_sharing_and_computes_no_other() -> None:
    body, batch = seeded(LTB), batch_of(CNN)
    with torch.no_grad():
        for choice in (*body.parents["image"], body.ends):
            choice.logits[:, 1] = 1.0
    calls = []
    for trunk in body.trunks.values():
        first = cast(nn.Module, trunk.encoders["image"]).convolutions[0]  # pyright: ignore
        first.register_forward_hook(lambda *_: calls.append(1))  # pyright: ignore
    found = body(batch, TASKS)
    assert len(calls) == 1
    for task in TASKS:
        torch.testing.assert_close(found.by_task[task], body.trunks["branch1"](batch).fused)


def test_a_branch_runs_on_what_its_parent_yields() -> None:
    body, batch = seeded(LTB), batch_of(CNN)
    with torch.no_grad():
        body.parents["image"][0].logits[0, 2] = 1.0  # second stage of branch 0 grows from branch 2
    stages = [body.trunks[f"branch{k}"].stages("image") for k in range(3)]
    x = stages[2][0].run(batch.inputs["image"])
    expected = stages[0][2].run(stages[0][1].run(x))
    torch.testing.assert_close(body(batch, ["digit"]).by_task["digit"], expected)


def test_draws_follow_the_logits() -> None:
    """Softmax of (ln 3, 0) is (¾, ¼): a Gumbel-softmax draws the first three times in four."""
    torch.manual_seed(0)
    choice = Choice(4000, 2)
    with torch.no_grad():
        choice.logits.copy_(torch.tensor([1.0986, 0.0]).expand(4000, 2))
    drawn = choice.draw(temperature=0.7)
    torch.testing.assert_close(drawn.detach().sum(dim=1), torch.ones(4000))
    assert float(drawn.detach()[:, 0].mean()) == pytest.approx(0.75, abs=0.02)
    assert set(drawn.detach().round(decimals=4).unique().tolist()) == {0.0, 1.0}


def test_parents_are_averaged_in_the_warm_up_and_the_temperature_falls() -> None:
    body = seeded(LTB, warmup=0.1, start_temperature=4.0, end_temperature=1.0).train()
    body.begin_step(0.05)
    torch.testing.assert_close(body.ends.draw(body.temperature), torch.full((3, 3), 1 / 3))
    for progress, expected in ((0.1, 4 * 0.25**0.1), (0.5, 2.0), (1.0, 1.0)):
        body.begin_step(progress)
        assert body.temperature == pytest.approx(expected)


def test_one_step_learns_which_branch_is_better() -> None:
    """Of two parents, 0 and 1, a loss that is the value itself raises the chance of the first."""
    torch.manual_seed(0)
    choice, grads = Choice(1, 2), torch.zeros(1, 2)
    for _ in range(200):
        (choice.draw(1.0) * torch.tensor([0.0, 1.0])).sum().backward()
    grads = cast(Tensor, choice.logits.grad)
    assert float(grads[0, 0]) < 0 < float(grads[0, 1])
