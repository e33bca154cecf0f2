"""Training rows that a plan holds out for a balance to measure."""

from __future__ import annotations

from dataclasses import replace

from jlrun.training.plan import Fit, Phase, Plan


def with_held_out(plan: Plan, share: float) -> Plan:
    """Return ``plan`` with a share of the training rows of every labelled stream held out.

    In all fits of several modalities; others have nothing to balance. 0 holds nothing out.
    """
    if share == 0:
        return plan
    return replace(plan, fits=tuple(_divided(fit, share) for fit in plan.fits))


def _divided(fit: Fit, share: float) -> Fit:
    if len(fit.modalities) < 2:
        return fit
    return replace(fit, phases=tuple(_without_held(phase, share) for phase in fit.phases))


def _without_held(phase: Phase, share: float) -> Phase:
    names = dict.fromkeys(objective.stream for objective in phase.objectives)
    divided = {name: phase.train[name].divide(share) for name in names}
    rest = {name: context[0] for name, context in divided.items()}
    held = {name: context[1] for name, context in divided.items()}
    return replace(phase, train={**phase.train, **rest}, held=held)
