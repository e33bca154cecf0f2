#!/usr/bin/env bash
# PyTorch 2.14.1 on a CPU, Linux with glibc (2.36 seen): in the usual process, nothing set, a training step on images of
# some size gets most of its memory anew from the operating system. The allocator's thresholds adapt to the largest block
# that was mapped and freed (mallopt(3)): from then on blocks of that size come from the heap, and what is free at the
# end of the heap goes back to the system once it is more than twice that size. The backward pass of a network frees the
# activations of many layers in a row, more than twice the largest: the heap shrinks and grows in every step, and each
# page is faulted in and filled with zeros again. Small networks (MNIST) show nothing of it. Two calls of mallopt before
# training, a mapping threshold of 32 MiB (the most that is taken) and no trimming, keep the memory in the process: the
# step is shorter, the peak of memory about the same. torch.profiler shows the time as that of whichever kernel first
# writes to a page: convolutions, fills and divisions that seem slow.
# Seen, a CNN of three layers on 64 images of 64 x 64 pixels, a step: 11,000 to 15,000 page faults and 70 to 79 ms as usual,
# 0 and 50 to 53 ms with both calls, peaks within 5 MB of each other (times printed, not tested).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
cat > "$folder/steps.py" <<'PY'
import ctypes, platform, resource, sys, time

import torch
from torch import nn

if sys.argv[1] == "kept":
    libc = ctypes.CDLL(None)
    assert libc.mallopt(-3, 32 * 2**20) and libc.mallopt(-1, -1)  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
).to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters())
images = torch.randn(64, 3, 64, 64).contiguous(memory_format=torch.channels_last)
classes = torch.randint(10, (64,))


def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), classes).backward()
    optimizer.step()


for _ in range(20):
    step()
began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF)
for _ in range(20):
    step()
after = resource.getrusage(resource.RUSAGE_SELF)
faults = (after.ru_minflt - before.ru_minflt) / 20
seconds = (time.process_time() - began) / 20
print(f"torch {torch.__version__}, {' '.join(platform.libc_ver())}, {sys.argv[1]}: {faults:,.0f} page faults, "
      f"{1e3 * seconds:.0f} ms a step, peak {after.ru_maxrss // 1024} MB")
assert faults < 500 if sys.argv[1] == "kept" else faults > 5_000
PY
for kind in usual kept usual kept; do
    env -u MALLOC_TRIM_THRESHOLD_ -u MALLOC_MMAP_THRESHOLD_ -u GLIBC_TUNABLES "$folder/venv/bin/python" "$folder/steps.py" $kind
done
