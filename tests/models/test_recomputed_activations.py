"""Activations that are computed once more: the same step, with fewer tensors kept."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import CNN, MLP, ViT
from jlrun.models.encoders.base import Encoder
from jlrun.models.recomputed_activations import recompute_activations
from jlrun.models.repeated_blocks import repeated_blocks

SPEC = ImageSpec(1, 12, 12, (0.5,), (0.5,))


def encoder(kind: str) -> Encoder:
    torch.manual_seed(0)
    match kind:
        case "mlp":  # a chain of layers, which is one block
            return MLP(SPEC, hidden=[9, 7], dropout=0.3)
        case "cnn":
            return CNN(SPEC, channels=[3, 5, 7], hidden=7, dropout=0.3, batch_norm=True)
        case _:
            return ViT(SPEC, patch=4, width=6, depth=3, heads=2, dropout=0.3)


def kept(network: nn.Module, x: Tensor) -> tuple[Tensor, int, dict[str, Tensor], Tensor]:
    """Return output, numbers kept for the backward pass, gradients and buffers, and randomness."""
    sizes: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(x)
    number = sum(sizes)
    out.square().sum().backward()
    state = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return out.detach(), number, state | dict(network.named_buffers()), torch.rand(3)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "vit"])
@pytest.mark.parametrize("count", [4, 1])
def test_a_step_is_the_same_bit_for_bit(kind: str, count: int) -> None:
    x = torch.randn(count, 1, 12, 12)
    plain, changed = encoder(kind), encoder(kind)
    recompute_activations(changed)
    out, number, state, random = kept(plain, x)
    found, fewer, changed_state, same = kept(changed, x)
    assert torch.equal(out, found)
    assert torch.equal(random, same)
    assert state.keys() == changed_state.keys()
    assert all(torch.equal(state[name], changed_state[name]) for name in state)
    assert fewer < number


def test_modes_are_those_of_the_forward_pass() -> None:
    """Layers that normalise by running statistics do so once more, whatever happens meanwhile."""
    plain, changed = encoder("cnn"), encoder("cnn")
    recompute_activations(changed)
    x, grads = torch.randn(4, 1, 12, 12), list[list[Tensor]]()
    for network in (plain, changed):
        network.eval()
        out = network(x).sum()
        network.train()
        grads.append(list(torch.autograd.grad(out, list(network.parameters()))))
    assert all(map(torch.equal, *grads))


def test_nothing_changes_without_gradients_or_in_a_copy() -> None:
    changed = encoder("vit")
    recompute_activations(changed)
    x = torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        assert torch.equal(changed.eval()(x), encoder("vit").eval()(x))
    copy = deepcopy(changed)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.zero_()
    assert torch.equal(copy(x), encoder("vit").eval()(x)), "a copy has its own weights"


def test_blocks_are_what_networks_repeat() -> None:
    residual = repeated_blocks(resnet18())
    assert len(residual) == 8
    assert {type(block).__name__ for block in residual} == {"BasicBlock"}
    assert len(repeated_blocks(encoder("vit"))) == 3
    assert repeated_blocks(encoder("mlp")) == []


def test_what_is_not_called_is_no_block() -> None:
    layers = nn.ModuleDict({"x": nn.Sequential(nn.Linear(2, 2)), "y": nn.Linear(2, 2)})
    assert repeated_blocks(nn.ModuleList([layers, layers])) == []
