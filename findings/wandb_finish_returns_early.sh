#!/usr/bin/env bash
# wandb 0.31.0, offline runs (jobs on nodes without internet): finish() returns before the run's file is written. Another
# process, wandb-core, writes it, and after a good third of short runs the file holds nothing but its header of 7 bytes when
# finish() is back; it is complete a moment later. A job that copies or packs the folder from local scratch as its next step
# keeps an empty run. finish() "ensures all data is synced", and nothing warns. What waits is wandb.teardown(), which ends
# the other process, too, and which is else called at the exit of Python.
# Seen, by turns: of 30 runs of 20 rows, 11 or 12 copies made after finish() are incomplete, 9 to 11 of them without any of
# the 20 rows; the originals all have 20 rows three seconds later; with wandb.teardown() before the copy 10 of 10 are complete.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wandb==0.31.0
cd "$folder"
WANDB_MODE=offline WANDB_SILENT=true "$folder/venv/bin/python" -W ignore - <<'PY'
import struct
import time
from pathlib import Path

import wandb
from wandb.proto import wandb_internal_pb2

print("wandb", wandb.__version__)
BLOCK, HEADER = 32768, 7  # a log in LevelDB's format, with a header of its own


def rows(content):
    """Return how many logged rows a run's file holds."""
    place, record, found = HEADER, b"", 0
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        record += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or the last part
            found += wandb_internal_pb2.Record.FromString(record).WhichOneof("record_type") == "history"
            record = b""
    return found


def run(teardown):
    """Log 20 rows in an offline run; return its file and what is in it when finish has returned."""
    started = wandb.init(project="finish")
    for i in range(20):
        started.log({"loss": i})
    (file,) = Path(started.dir).parent.glob("*.wandb")
    started.finish()
    if teardown:
        wandb.teardown()
    return file, file.read_bytes()


copies = {}
for name, count, teardown in (("finish", 30, False), ("finish and teardown", 10, True)):
    done = [run(teardown) for _ in range(count)]
    time.sleep(3)
    assert all(rows(file.read_bytes()) == 20 for file, _ in done), "a run's own file has not 20 rows"
    less = [content for file, content in done if len(content) < file.stat().st_size]
    copies[name] = len(less)
    empty = sum(rows(content) == 0 for content in less)
    print(f"{name}: {len(less)} of {count} copies incomplete, {empty} of them without a row; sizes", [len(c) for c in less])
assert copies["finish"] > 0 and copies["finish and teardown"] == 0, "the behaviour has changed"
PY
