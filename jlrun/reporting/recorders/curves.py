"""The curves in a ``metrics.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jlrun.reporting.recorders.metrics_csv import read_rows


@dataclass
class Curve:
    """The values of a tag over a phase of a fit.

    Attributes:
        fit, phase, tag: what the curve is of.
        steps: optimizer steps since the phase began.
        values: one per step.
    """

    fit: str
    phase: str
    tag: str
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def read_curves(path: Path) -> list[Curve]:
    """Return the curves in the order in which they begin."""
    curves: dict[tuple[str, str, str], Curve] = {}
    for fit, phase, _, step, tag, value in read_rows(path):
        curve = curves.setdefault((fit, phase, tag), Curve(fit, phase, tag))
        curve.steps.append(int(step))
        curve.values.append(float(value))
    _count_from_phase(curves.values())
    return list(curves.values())


def _count_from_phase(curves: Iterable[Curve]) -> None:
    """Count steps from where the phase before ended, instead of from where the fit began."""
    last_step: dict[str, dict[str, int]] = {}
    for curve in curves:
        phases = last_step.setdefault(curve.fit, {})
        phases[curve.phase] = max(phases.get(curve.phase, 0), curve.steps[-1])
    for curve in curves:
        phases = list(last_step[curve.fit])
        i = phases.index(curve.phase)
        first_step = last_step[curve.fit][phases[i - 1]] if i else 0
        curve.steps = [step - first_step for step in curve.steps]
