#!/usr/bin/env bash
# torch 2.14.1, torchrun --max-restarts with gloo: the store of the launcher outlives a restart, and the keys that ranks write
# there have no number of the attempt in them ("a new TCPStore for every retry" is a new client of the same one). A restarted
# rank that is ahead of another reads the address that this one had before it was ended. Which of two ranks calls the other
# goes by their ports: if it is the one ahead, it is refused there and fails, and that takes one of the restarts. So a
# restart works or fails by chance, mostly fails where ranks do not start at once (one reads data or compiles before it joins),
# and the first start has no such trouble, whoever is late. What helps: init_process_group(store=PrefixStore(attempt, ...)).
# Seen: rank 1 of two ends with an error once, and at the restart rank 0 joins two seconds late. With the default store about
# half of eight launches end with 1 and "Connection refused", with and without --standalone; with a store that has the
# attempt as a prefix both ranks go on, and torchrun ends with 0. Without a delay 3 of 7 launches failed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
cat >"$folder/ranks.py" <<'PY'
import os
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist

rank, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
if rank == 0 and attempt == 1:
    time.sleep(2)
if sys.argv[1] == "prefix":
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.PrefixStore(f"attempt {attempt}", dist.TCPStore(*address, is_master=False, timeout=timedelta(seconds=60)))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=30))
else:
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
total = torch.ones(1)
dist.all_reduce(total)
print(f"(attempt {attempt}, rank {rank}, sum {int(total)})", flush=True)
if attempt == 0 and rank == 1:
    sys.exit(3)
dist.barrier()
dist.destroy_process_group()
PY
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" -W ignore -c 'import torch; print("torch", torch.__version__)'
run() { # default or prefix, and an option of torchrun
    code=0
    "$folder/venv/bin/python" -W ignore -m torch.distributed.run $2 --nproc-per-node=2 --max-restarts=1 "$folder/ranks.py" "$1" \
        >"$folder/log" 2>&1 || code=$?
    gone_on=$({ grep -o '(attempt 1, rank' "$folder/log" || true; } | wc -l)
    refused=$(grep -c -m1 'Connection refused' "$folder/log" || true)
    echo "store: $1 ${2:-}; torchrun ended with $code; $gone_on ranks went on${refused/0/}" | sed 's/on1$/on; Connection refused/'
}
failures=0
for option in "" "--standalone"; do
    for launch in 1 2 3 4; do
        run default "$option"
        if [ "$code" = 1 ] && [ "$refused" = 1 ]; then failures=$((failures + 1)); fi
    done
    run prefix "$option"
    [ "$code" = 0 ] && [ "$gone_on" = 2 ] || { echo "the behaviour has changed"; exit 1; }
done
echo "$failures of 8 restarts failed with the default store"
[ "$failures" -ge 1 ] || { echo "the behaviour has changed"; exit 1; }
