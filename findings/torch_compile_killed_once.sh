#!/usr/bin/env bash
# torch 2.14.1, torch.compile on the CPU: the linker writes a kernel's library straight to its final name in the cache.
# A process that is killed there (a preempted job, a time limit, a second Ctrl-C) leaves an empty library, which later
# processes take for a finished one: each of them fails with InductorError, until somebody deletes the cache. The small
# libraries by which PyTorch probes the processor's instructions are written in the same way: with one of those
# empty, later processes compile without the instructions it stands for, and say nothing.
# Seen: the killed process leaves a library of 0 bytes; two later ones exit with 1, "file too short". Of the probes,
# cut at the first that appeared, "avx512" was left of "avx512 avx512_vnni" on a processor that has both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 setuptools
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY'
import os
import signal
import subprocess
import sys

CODE = """
import torch
torch.set_num_threads(1)
print(float(torch.compile(lambda x: (x.sin() * 2 + x.cos()).sum())(torch.ones(64, 64))))
from torch._inductor.cpu_vec_isa import pick_vec_isa
print("instructions:", pick_vec_isa())
"""


def libraries(cache):
    """Return the size of each library in a cache, by its name."""
    return {
        name: os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(cache)
        for name in names
        if name.endswith(".so")
    }


def run(cache, killed_at=None):
    """Run the code; with ``killed_at`` kill it, and the compilers it started, when such a file appears."""
    child = subprocess.Popen(
        [sys.executable, "-c", CODE],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while killed_at and child.poll() is None:
        if any(name.endswith(killed_at) for _, _, names in os.walk(cache) for name in names):
            os.killpg(child.pid, signal.SIGKILL)
    return child.communicate()[0], child.returncode


def killed(name, kind):
    """Return a cache that a killed process left, with the library it was killed at cut short."""
    for attempt in range(10):
        cache = f"{os.environ['FOLDER']}/{kind}{attempt}"
        run(cache, name)
        if any(size == 0 for size in libraries(cache).values()):
            return cache
    raise SystemExit("no process could be killed while a library was written")


clean = os.environ["FOLDER"] + "/clean"
text, code = run(clean)
print("clean:", code, text.strip().splitlines()[-2:])
assert code == 0
kernel = next(name for name in libraries(clean) if name.endswith(".main.so"))

cache = killed(kernel, "kernel")
for _ in range(2):
    text, code = run(cache)
    print("after a kill at the kernel:", code, [line for line in text.splitlines() if "too short" in line][-1:])
    assert code == 1 and "InductorError" in text, "the behaviour has changed"

cache = killed(".so", "probe")
text, code = run(cache)
print("after a kill at a probe:", code, text.strip().splitlines()[-1:])
assert code == 0
PY
