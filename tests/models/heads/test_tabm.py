"""TabM: each member is a network of its own, on shared matrices."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.models.heads import TabM
from jlrun.objective.labelled_rows import objective_loss
from jlrun.tasks import Multiclass, Regression, TaskSpec
from jlrun.tasks.objective import Objective


def head(outputs: int = 3) -> TabM:
    torch.manual_seed(0)
    return TabM(5, outputs, count=4, hidden=[6, 7]).eval()


def test_a_member_is_a_network_with_scaled_weights() -> None:
    """Eq. of a layer: s ⊙ (W (r ⊙ x)) + b is the linear layer of the matrix s Wᵀ r."""
    net, x = head(), torch.randn(8, 5)
    for m in range(4):
        h = x
        for layer in net.layers:
            matrix = layer.s[m][:, None] * layer.weight * layer.r[m]
            h = F.linear(h, matrix, layer.bias[m]).relu()
        wanted = h @ net.output.weight[m] + net.output.bias[m] + net.linear(x)
        torch.testing.assert_close(net.members(x)[:, m], wanted)
    torch.testing.assert_close(net(x), net.members(x).mean(dim=1))


@torch.no_grad()
def test_equals_the_package_of_its_authors() -> None:
    library = pytest.importorskip("tabm")
    torch.manual_seed(0)
    oracle = library.TabM.make(
        n_num_features=5, d_out=3, n_blocks=2, d_block=6, k=4, dropout=0.1
    ).eval()
    net = TabM(5, 3, count=4, hidden=[6, 6], linear=False).eval()
    state = oracle.state_dict()
    renamed = {"output.weight": state["output.weight"], "output.bias": state["output.bias"]}
    for i in range(2):
        for name in ("weight", "r", "s", "bias"):
            renamed[f"layers.{i}.{name}"] = state[f"backbone.blocks.{i}.0.{name}"]
    net.load_state_dict(renamed)  # every tensor, and no other
    assert len(renamed) == len(state)
    x = torch.randn(8, 5)
    torch.testing.assert_close(net.members(x), oracle(x))
    assert (net.layers[0].r.abs() == 1).all()


def test_only_the_first_inputs_begin_at_random_signs() -> None:
    first, second = head().layers
    assert set(first.r.unique().tolist()) == {-1.0, 1.0}
    assert (second.r == 1).all()
    assert (first.s == 1).all()


def test_the_loss_is_the_mean_of_the_losses_of_members() -> None:
    net, x = head(), torch.randn(8, 5)
    spec = TaskSpec("kind", Multiclass(), ("a", "b", "c"))
    target, rows = torch.arange(8) % 3, torch.arange(8) < 6
    batch = Batch({}, {"kind": target}, labelled={"kind": rows})
    objective = Objective("kind", "data", spec, "kind")
    total, count = objective_loss(objective, net.members(x), batch)
    each = [F.cross_entropy(net.members(x)[:6, m], target[:6], reduction="sum") for m in range(4)]
    assert count == 6
    torch.testing.assert_close(total, torch.stack(each).mean())


def test_members_learn_apart() -> None:
    """The gradient of a member's last layer is that of its own error, not of the mean's."""
    net, x, y = head(1), torch.randn(8, 5), torch.randn(8)
    objective = Objective("y", "data", TaskSpec("y", Regression(), ()), "y")
    total, _ = objective_loss(objective, net.members(x), Batch({}, {"y": y}))
    (gradient,) = torch.autograd.grad(total, net.output.bias, retain_graph=True)
    errors = net.members(x)[:, :, 0] - y[:, None]
    torch.testing.assert_close(gradient[:, 0], 2 * errors.sum(dim=0) / 4)
