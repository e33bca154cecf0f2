#!/usr/bin/env bash
# torch 2.14.1, Adam, AdamW and SGD with fused=True on a CPU: the kernel walks through memory and ignores strides. Where a
# gradient, or a state that was loaded, is laid out otherwise than its parameter, each weight is updated by the gradient of
# another one, silently. That happens with a channels-last model whose gradients were assigned by hand (surgery of task
# gradients, unflattened vectors), and after load_state_dict, which keeps the strides of the file: a checkpoint written by
# a channels-last model, loaded into a contiguous one. The plain (fused=False) and foreach optimizers are right.
# Seen: after one step of SGD(lr=1) on a channels-last (2, 3, 2, 2) weight with a contiguous gradient 0, 1, 2, ... the
# weight moved by its gradient with fused=False and with foreach=True, and by a permutation of it with fused=True. After
# load_state_dict of a channels-last state into Adam of a contiguous weight, the next fused step differs from the plain one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
"$folder/venv/bin/python" -W ignore - <<'PY'
import copy

import torch
from torch import nn

print("torch", torch.__version__)
gradient = torch.arange(24.0).reshape(2, 3, 2, 2)
WAYS = {"plain": {"fused": False, "foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def moved(way):
    """Return what a step of SGD(lr=1) subtracts from a channels-last weight."""
    weight = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
    weight.grad = gradient.clone()
    torch.optim.SGD([weight], lr=1.0, **way).step()
    return -weight.detach()


steps = {name: moved(way) for name, way in WAYS.items()}
for name, step in steps.items():
    print(f"{name}: first channel moved by {step[0, :, 0, 0].tolist()}, its gradient is {gradient[0, :, 0, 0].tolist()}")
right = {name: torch.equal(step, gradient) for name, step in steps.items()}
permuted = torch.equal(steps["fused"].flatten().sort().values, gradient.flatten())
print("as the gradient says:", right, "- fused, a permutation of it:", permuted)


def resumed(way):
    """Return a contiguous weight after a step with the state of a channels-last one."""
    first = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
    optimizer = torch.optim.Adam([first], lr=0.1, **way)
    first.grad = gradient.to(memory_format=torch.channels_last)
    optimizer.step()
    weight = nn.Parameter(first.detach().clone(memory_format=torch.contiguous_format))
    loaded = torch.optim.Adam([weight], lr=0.1, **way)
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    weight.grad = gradient.flip(0).contiguous()
    loaded.step()
    return weight.detach()


gap = float((resumed(WAYS["fused"]) - resumed(WAYS["plain"])).abs().max())
print(f"after loading a state with other strides, fused and plain differ by up to {gap:.4f}")
assert right == {"plain": True, "foreach": True, "fused": False} and permuted, "the behaviour has changed"
assert gap > 1e-3, "the behaviour has changed"
PY
