"""Warn of data in which the rows to be scored are training rows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from jlrun.runs.fingerprints.fingerprint import Fingerprint

_MOST = 0.5
_USUAL = 0.1


def overlap_lines(found: Fingerprint, unlabelled: Collection[str] = ()) -> list[str]:
    """Return a line for each split of which most rows are training rows, by their inputs.

    Where training rows repeat each other, as in tables of a few categories, others repeat them
    without harm: nothing is said of these.

    Args:
        found: the rows of a run.
        unlabelled: streams that are learned from without labels; published protocols of
            adaptation score the very rows that were adapted to.
    """
    lines = []
    for stream, data in found.items():
        if stream in unlabelled or "train" not in data.splits:
            continue
        keys = data.splits["train"].keys
        if len(np.unique(keys)) < (1 - _USUAL) * len(keys):
            continue
        for kind, called in (("val", "validation"), ("test", "test")):
            split = data.splits[kind]
            repeated = np.flatnonzero(np.isin(split.keys, keys))
            if len(repeated) > _MOST * len(split.keys):
                first = split.name(int(repeated[0]))
                lines.append(
                    f"warning: {stream}: {len(repeated)} of {len(split.keys)} {called} rows are "
                    f"training rows, for example {first}: their scores say nothing of new rows"
                )
    return lines
