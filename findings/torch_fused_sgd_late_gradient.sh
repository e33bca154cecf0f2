#!/usr/bin/env bash
# torch 2.14.1, SGD with momentum and fused=True: a parameter whose first gradient comes in a later step than that of
# another in its group ends the training with a TypeError. That is usual in multi-task learning and fine-tuning: a head
# whose task has no labels in the first batch, a layer that is unfrozen later (zero_grad sets gradients to None). The fused
# kernel wants a momentum buffer for all parameters or for none. fused=False and foreach=True make the buffer when it
# is needed, and Adam, AdamW and Adagrad do so with fused=True, too. What helps: gradients of zeros, or groups of their own.
# Seen: "TypeError: expected Tensor as element 1 in argument 2, but got NoneType" in the second step of fused SGD with
# momentum; all eleven other ways end with both parameters moved.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch
from torch import nn

print("torch", torch.__version__)
WAYS = {"plain": {"fused": False, "foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
OPTIMIZERS = {
    "SGD with momentum": lambda parameters, way: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, **way),
    "Adam": lambda parameters, way: torch.optim.Adam(parameters, lr=0.1, **way),
    "AdamW": lambda parameters, way: torch.optim.AdamW(parameters, lr=0.1, **way),
    "Adagrad": lambda parameters, way: torch.optim.Adagrad(parameters, lr=0.1, **way),
}


def trained(make, way):
    """Return what two steps end with, where the second parameter has no gradient in the first."""
    early, late = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = make([early, late], way)
    early.grad = torch.ones(3)
    optimizer.step()
    late.grad = torch.ones(3)
    try:
        optimizer.step()
    except TypeError as error:
        return f"TypeError: {error}"
    return "both moved" if late[0] < 1 and early[0] < 1 else "not moved"


found = {(name, way): trained(make, WAYS[way]) for name, make in OPTIMIZERS.items() for way in WAYS}
for (name, way), what in found.items():
    print(f"{name}, {way}: {what}")
failed = [key for key, what in found.items() if what.startswith("TypeError")]
assert failed == [("SGD with momentum", "fused")], "the behaviour has changed"
assert all(what == "both moved" for key, what in found.items() if key not in failed), "the behaviour has changed"
PY
