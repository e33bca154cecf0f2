#!/usr/bin/env bash
# wandb 0.31.0, define_metric(name, summary="max"), the way to keep a run's best score instead of its last: one nan, at
# whatever step, makes the maximum nan for the rest of the run. So it is with "min" and "mean". A validation score that is
# undefined once (a class without rows, a first epoch in half precision that overflowed) costs the run its place in every
# table that is sorted by the best score, with nothing said; "last" recovers, and the values themselves are in the history.
# Seen, for 0.7, nan, 0.9, 0.8: max, min and mean nan, last 0.8; without the nan 0.9, 0.7, 0.8 and 0.8.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wandb==0.31.0
cd "$folder"
WANDB_MODE=offline WANDB_SILENT=true "$folder/venv/bin/python" -W ignore - <<'PY'
from math import isnan, nan

import wandb

print("wandb", wandb.__version__)
KINDS = ("max", "min", "mean", "last")


def summaries(values):
    """Return a run's summaries of a metric that had these values."""
    with wandb.init(project="nan") as run:
        for kind in KINDS:
            run.define_metric(f"score of {kind}", summary=kind)
        for value in values:
            run.log({f"score of {kind}": value for kind in KINDS})
        return {kind: float(run.summary[f"score of {kind}"][kind]) for kind in KINDS}


clean, one_nan = summaries([0.7, 0.9, 0.8]), summaries([0.7, nan, 0.9, 0.8])
print("0.7, 0.9, 0.8:", clean)
print("0.7, nan, 0.9, 0.8:", one_nan)
assert {kind: round(value, 9) for kind, value in clean.items()} == {"max": 0.9, "min": 0.7, "mean": 0.8, "last": 0.8}
assert all(isnan(one_nan[kind]) for kind in ("max", "min", "mean")), "the behaviour has changed"
assert one_nan["last"] == 0.8
PY
