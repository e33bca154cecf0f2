"""Fingerprints: the rows a run was trained, selected and scored on, to detect changed data."""

from jlrun.runs.fingerprints.checking import (
    check_other_data,
    check_unchanged,
    overlap_lines,
    trained_on_lines,
)
from jlrun.runs.fingerprints.fingerprint import (
    Fingerprint,
    digests,
    fingerprint_of,
    read,
    without_names,
    write,
)

__all__ = [
    "Fingerprint",
    "check_other_data",
    "check_unchanged",
    "digests",
    "fingerprint_of",
    "overlap_lines",
    "read",
    "trained_on_lines",
    "without_names",
    "write",
]
