"""Shares of rows that lack a modality, and the dropout that brings training rows to a share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jlrun.data.file_checks import at_base
from jlrun.data.rows import Rows

HIGHEST_RATE = 0.9


def missing_shares(parts: Iterable[Rows], modalities: Sequence[str]) -> dict[str, float]:
    """Return modality -> share of the rows of all ``parts`` that lack it; no input is read.

    Rows whose class does not know before they are fetched what is missing count as whole.
    """
    lacking, total = dict.fromkeys(modalities, 0), 0
    for rows in parts:
        base, indices = at_base(rows)
        present = getattr(base, "present", {})
        total += len(indices)
        for modality in set(lacking) & set(present):
            lacking[modality] += int((~present[modality][indices]).sum())
    return {modality: count / max(total, 1) for modality, count in lacking.items()}


def matching_rates(trained: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Return modality -> rate of dropout p, by which training rows lack it as often as wanted.

    A share t is missing already, and p of the rest is dropped: t + (1 - t) p = w. At least 0, for
    rows that lack it less often, and at most 0.9.

    Args:
        trained: modality -> t.
        wanted: modality -> w.
    """
    return {
        modality: min(HIGHEST_RATE, max(0.0, (wanted[modality] - t) / (1 - t))) if t < 1 else 0.0
        for modality, t in trained.items()
    }
