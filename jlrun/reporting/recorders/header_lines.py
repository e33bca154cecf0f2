"""Lines before training: device, model size, data, and what is unusual."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jlrun.reporting.recorders.formats import format_count
from jlrun.training.recorder import MAIN_FIT, Header, PlannedFit, PlannedPhase

MOST_PARTS = 4


def header_lines(header: Header) -> list[str]:
    """Return the lines of the start block; defaults are not worth a word."""
    facts: dict[str, list[str]] = {
        "device": [header.device],
        "model": [_model(header)],
        "data": _columns({name: _sizes(splits) for name, splits in header.data.items()}),
        "changed": [f"{path}={value}" for path, value in header.changed.items()],
        "fits": _fits(header.fits),
        "run": [short_path(header.run_dir)],
    }
    title = f"jlrun {header.mode}" + (", resumed" if header.resumed else "")
    return [title, *fact_lines(facts)]


def fact_lines(facts: Mapping[str, list[str]]) -> list[str]:
    """Return ``label  value`` lines, aligned, the label before the first of its values only.

    A fact without a value has no line.
    """
    width = max((len(label) for label, values in facts.items() if values), default=0)
    return [
        f"  {'' if i else label:<{width}}  {value}"
        for label, values in facts.items()
        for i, value in enumerate(values)
    ]


def short_path(path: Path) -> str:
    """Return the path relative to the working directory where it lies below it."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def _model(header: Header) -> str:
    text = f"{format_count(header.parameters)} parameters"
    if header.trainable != header.parameters:
        text += f", {format_count(header.trainable)} of them trained"
    return text


def _fits(fits: Sequence[PlannedFit]) -> list[str]:
    """Return what is to be trained, fits of a baseline that last equally long on one line."""
    alike: dict[tuple[str, tuple[PlannedPhase, ...]], list[str]] = {}
    for fit in fits if len(fits) > 1 else ():
        name, _, part = fit.name.partition("/")
        alike.setdefault((name, fit.phases), []).append(part)
    named = {
        ("model" if name == MAIN_FIT else name) + _parts(parts): _lengths(phases)
        for (name, phases), parts in alike.items()
    }
    return _columns(named)


def _parts(parts: Sequence[str]) -> str:
    if len(parts) > MOST_PARTS:
        return f" ({len(parts)} of them)"
    return f" ({', '.join(parts)})" if any(parts) else ""


def _lengths(phases: Sequence[PlannedPhase]) -> str:
    if len(phases) == 1:
        return f"{phases[0].num_epochs} epochs"
    return ", ".join(f"{phase.name} {phase.num_epochs}" for phase in phases) + " epochs"


def _sizes(splits: Mapping[str, int]) -> str:
    counts = ", ".join(f"{format_count(n)} {split}" for split, n in splits.items() if n)
    unselected = splits.get("val") == 0
    return f"{counts}; no validation rows: the last weights are kept" if unselected else counts


def _columns(pairs: Mapping[str, str]) -> list[str]:
    width = max(map(len, pairs), default=0)
    return [f"{left:<{width}}  {right}" for left, right in pairs.items()]
