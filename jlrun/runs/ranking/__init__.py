"""Ranking of sources to transfer from, by measures of transferability.

The measures (`logme`, `leep`, `nce`, `h_score`, `transrate`) are pure functions of NumPy arrays.
"""

TITLES = {
    "logme": "LogME",
    "leep": "LEEP",
    "nce": "NCE",
    "h_score": "H-score",
    "shrunk_h_score": "shrunk H",
    "transrate": "TransRate",
}
MEAN_RANK = "mean_rank"
