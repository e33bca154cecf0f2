#!/usr/bin/env bash
# torch 2.14.1, torchrun --max-restarts: the store of the launcher outlives a restart, and the keys that ranks write there have
# no number of the attempt in them ("a new TCPStore for every retry" is a new client of the same store). With gloo a
# restarted rank that joins before another one finds the address that this one had before it was ended. Whether
# the restart works then goes by chance: of 11 restarts of two ranks, most with one that joined two seconds late, 5 failed
# with "timed out connecting: Connection refused", which takes a restart more, and one was still waiting long after the timeout
# that it was given. The first start has no such trouble, whoever is late. With
# init_process_group(store=PrefixStore(attempt, ...)) all restarts went on.
# This script only looks at the store: rank 1 ends with an error once, after both have joined by gloo.
# Seen: before any rank of the second attempt has joined, the store has the addresses of the ended ones, under the names
# that the new ones look for ("default_pg/0//cpu//0/0"), with and without --standalone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
cat >"$folder/ranks.py" <<'PY'
import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist

rank, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=timedelta(seconds=60))
if attempt == 0:
    keys = set(store.list_keys())  # before this rank joins; the other one may have joined
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    dist.all_reduce(torch.ones(1))
    dist.barrier()
    if rank == 0:
        written = sorted(set(store.list_keys()) - keys)
        store.set("seen by the first attempt", "\n".join(written))
        print(f"attempt 0 wrote {len(written)} keys, such as {written[0]}", flush=True)
    dist.barrier()
    sys.exit(3 if rank == 1 else 0)
if rank == 0:
    written = store.get("seen by the first attempt").decode().split("\n")
    left = sorted(set(written) & set(store.list_keys()))
    print(f"attempt 1 finds {len(left)} of {len(written)} of them before any rank has joined", flush=True)
    sys.exit(0 if left else 4)
PY
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" -W ignore -c 'import torch; print("torch", torch.__version__)'
for option in "" "--standalone"; do
    "$folder/venv/bin/python" -W ignore -m torch.distributed.run $option --nproc-per-node=2 --max-restarts=1 "$folder/ranks.py" 2>"$folder/log" ||
        { tail -20 "$folder/log"; echo "the behaviour has changed"; exit 1; }
done
