"""Modality dropout that follows from how often rows lack a modality; warnings on new rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jlrun.data.missing_shares import HIGHEST_RATE, matching_rates, missing_shares
from jlrun.data.rows import Rows
from jlrun.data.splits import Splits
from jlrun.reporting.result import read_result

AUTO = "auto"
LOWEST_SHARE = 0.1


def auto_dropout(
    splits: Mapping[str, Splits], leading: str, modalities: tuple[str, ...]
) -> tuple[dict[str, float], str]:
    """Return modality -> rate, and the log line on it.

    With it, training rows lack a modality as often as validation rows do, and one in ten at least,
    so that what the model does without it was learned. Test rows are not looked at.

    Args:
        splits: of all data sets.
        leading: name of the data set that is scored.
        modalities: those in use.
    """
    trained = missing_shares((each.train for each in splits.values()), modalities)
    val = missing_shares([splits[leading].val], modalities)
    wanted = {modality: max(val[modality], LOWEST_SHARE) for modality in modalities}
    rates = {m: round(rate, 3) for m, rate in matching_rates(trained, wanted).items()}
    return rates, _line(rates, trained, wanted)


def _line(
    rates: Mapping[str, float], trained: Mapping[str, float], wanted: Mapping[str, float]
) -> str:
    if not any(rates.values()):
        return "modality_dropout=auto is 0: training rows lack each modality often enough already"
    found = ", ".join(
        f"{m} {rate:g} (for {wanted[m]:.1%}; of training rows {trained[m]:.1%} lack it)"
        for m, rate in rates.items()
    )
    return (
        "modality_dropout=auto, as often as validation rows lack a modality, and one in ten at "
        f"least: {found}"
    )


def strange_holes(directory: Path, rows: Rows, modalities: tuple[str, ...]) -> list[str]:
    """Return a warning on each modality that new rows lack, and hardly any training row did.

    Args:
        directory: of the run; one that did not score missing modalities gives no warning.
        rows: the new ones.
        modalities: of the model.
    """
    never = ((read_result(directory) or {}).get("missing") or {}).get("never_missing", ())
    shares = missing_shares([rows], modalities)
    return [
        f"warning: {m} is missing in {shares[m]:.0%} of these rows, and was in (nearly) every "
        f"training row: train with 'modality_dropout={{{m}: {min(shares[m], HIGHEST_RATE):.2f}}}'"
        for m in never
        if shares.get(m)
    ]
