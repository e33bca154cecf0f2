#!/usr/bin/env bash
# torch 2.14.1 on a CPU: max_pool2d of images in PyTorch's default memory format takes many times as long as of the same
# images in channels-last, so that in a small CNN two pooling layers cost as much as the convolutions between them. A
# kernel that only compares numbers is expected to be bound by memory, whatever its layout; the channels-last kernel
# uses the processor's vectors, the other one goes number by number. avg_pool2d shows the same.
# model.to(memory_format=torch.channels_last) alone gives the gain: convolutions hand their layout on.
# Seen, 64 images of 32 × 32 with 32 channels, one thread: max_pool2d forward 15 to 22 times as long, backward about as long;
# avg_pool2d forward 8 times, backward 7. The script asks for 3 times in the forward pass of both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
"$folder/venv/bin/python" -W ignore - <<'PY'
import time
from statistics import median

import torch
from torch.nn import functional as F

print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
torch.set_num_threads(1)
images = torch.randn(64, 32, 32, 32, generator=torch.Generator().manual_seed(0))
FORMATS = {"default": torch.contiguous_format, "channels-last": torch.channels_last}


def seconds(pool, memory_format):
    """Return the times of a forward and of a backward pass."""
    x = images.clone(memory_format=memory_format).requires_grad_()
    start = time.perf_counter()
    y = pool(x, 2)
    middle = time.perf_counter()
    y.backward(torch.ones_like(y))
    return middle - start, time.perf_counter() - middle


for pool in (F.max_pool2d, F.avg_pool2d):
    rounds = {name: [] for name in FORMATS}
    for _ in range(25):  # in turns
        for name, memory_format in FORMATS.items():
            rounds[name].append(seconds(pool, memory_format))
    forward, backward = (
        median(one[part] / other[part] for one, other in zip(rounds["default"], rounds["channels-last"]))
        for part in (0, 1)
    )
    print(f"{pool.__name__}: default over channels-last, forward {forward:.1f}, backward {backward:.1f}")
    assert forward > 3, "the behaviour has changed"
PY
