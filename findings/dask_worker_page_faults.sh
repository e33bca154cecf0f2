#!/usr/bin/env bash
# distributed 2026.8.0 (Dask) with PyTorch 2.14.1 on a CPU, Linux with glibc: a training step in a worker of a LocalCluster
# takes about twice the CPU time of the same step outside, because the operating system hands out the memory of every tensor
# anew. A worker is started with MALLOC_TRIM_THRESHOLD_=65536, which its configuration explains as giving unused memory back
# early. But once that variable is set glibc no longer adapts the size from which a block is mapped by itself, which stays at
# 128 KiB (mallopt(3)): each activation and gradient above it is mapped, faulted in page by page, zeroed, and unmapped, in
# each step. The variable also stays in the environment of the process that made the cluster after the cluster is closed, so
# that processes it starts later (workers of a DataLoader by spawn, a sweep's jobs) are slow, too, without any Dask in them.
# With MALLOC_MMAP_THRESHOLD_=33554432 besides, such a process is as before.
# Seen, page faults a step of a CNN on 64 images of 28 x 28 pixels: 600 to 2,600 outside, 9,037 to 9,235 in a worker,
# 9,234 in a process started after the cluster is closed; CPU time 9.6 to 12.9 ms against 24 to 27 ms (printed, not tested).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet distributed==2026.8.0 torch==2.14.1 numpy==2.4.6
cat > "$folder/steps.py" <<'PY'
import multiprocessing, os, resource, time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version

VARIABLE = "MALLOC_TRIM_THRESHOLD_"


def faults_of_a_step(steps=40):
    """Return the page faults of a step, its milliseconds of CPU time, and the variable."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    images, classes = torch.randn(64, 1, 28, 28), torch.randint(10, (64,))

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), classes).backward()
        optimizer.step()

    for _ in range(100):
        step()
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        step()
    found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return found / steps, 1e3 * (time.process_time() - began) / steps, os.environ.get(VARIABLE)


def elsewhere():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(faults_of_a_step).result()


if __name__ == "__main__":
    print("distributed", version("distributed"), "torch", version("torch"))
    assert VARIABLE not in os.environ, "unset it first"
    before = elsewhere()
    from distributed import Client, LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        worker = client.submit(faults_of_a_step).result()
    after = elsewhere()
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "33554432"
    both = elsewhere()
    for name, found in {
        "a process of its own": before, "a worker": worker, "a process after it": after,
        "the same, both variables": both,
    }.items():
        print(f"{name}: {found[0]:,.0f} page faults, {found[1]:.1f} ms a step, {VARIABLE}={found[2]}")
    assert before[2] is None and worker[2] == after[2] == "65536"
    slow = 3 * max(before[0], both[0])
    assert worker[0] > slow and after[0] > slow and worker[0] > 5_000
PY
"$folder/venv/bin/python" "$folder/steps.py"
