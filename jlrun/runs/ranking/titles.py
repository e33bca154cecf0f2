"""What the measures are called."""

from __future__ import annotations

TITLES = {
    "logme": "LogME",
    "leep": "LEEP",
    "nce": "NCE",
    "h_score": "H-score",
    "shrunk_h_score": "shrunk H",
    "transrate": "TransRate",
}
MEAN_RANK = "mean_rank"
