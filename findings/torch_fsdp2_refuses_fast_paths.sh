#!/usr/bin/env bash
# torch 2.14.1, fully_shard (FSDP2): two switches that make a CNN fast on one device can't be carried over to shards. Weights
# that are channels-last are refused ("non-contiguous parameters"), and a model that is made channels-last after it was sharded
# fails in the conversion or its first step. Of the fused optimizers Adam and AdamW step over shards; SGD, with and without
# momentum, and Adagrad do not: no sharding strategy is registered for their operators, and the first step ends
# in NotImplementedError, after the backward pass. foreach=True and the plain loop of all five work. What helps:
# contiguous weights with channels-last inputs, and stepping fused over the local parts (to_local()) where it is elementwise.
# Seen, with one process, which is enough: as above.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

print("torch", torch.__version__)
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))
images = torch.ones(2, 3, 8, 8)
WAYS = {"plain": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
OPTIMIZERS = {
    "SGD": lambda parameters, way: torch.optim.SGD(parameters, lr=0.1, **way),
    "SGD with momentum": lambda parameters, way: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, **way),
    "Adam": lambda parameters, way: torch.optim.Adam(parameters, lr=0.1, **way),
    "AdamW": lambda parameters, way: torch.optim.AdamW(parameters, lr=0.1, **way),
    "Adagrad": lambda parameters, way: torch.optim.Adagrad(parameters, lr=0.1, **way),
}


def cnn():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 4))


def tried(do):
    """Return "works", or what is raised."""
    try:
        do()
    except (NotImplementedError, RuntimeError) as error:
        return f"{type(error).__name__}: {str(error)[:90]}"
    return "works"


def step(make, way):
    model = fully_shard(cnn(), mesh=mesh)
    optimizer = make(model.parameters(), way)
    model(images).sum().backward()
    optimizer.step()


def converted_later():
    model = fully_shard(cnn(), mesh=mesh)
    model.to(memory_format=torch.channels_last)
    model(images).sum().backward()


found = {(name, way): tried(lambda: step(make, WAYS[way])) for name, make in OPTIMIZERS.items() for way in WAYS}
for (name, way), what in found.items():
    print(f"{name}, {way}: {what}")
first = tried(lambda: fully_shard(cnn().to(memory_format=torch.channels_last), mesh=mesh))
later = tried(converted_later)
print(f"channels-last, then sharded: {first}\nsharded, then channels-last: {later}")
dist.destroy_process_group()
failed = {key for key, what in found.items() if what != "works"}
assert failed == {(name, "fused") for name in ("SGD", "SGD with momentum", "Adagrad")}, "the behaviour has changed"
assert "non-contiguous" in first and later != "works", "the behaviour has changed"
PY
