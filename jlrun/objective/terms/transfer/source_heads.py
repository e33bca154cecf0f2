"""Which heads of a phase belong to its sources alone."""

from __future__ import annotations

from jlrun.objective.terms.base import TARGET, PhaseStart


def own_source_heads(start: PhaseStart) -> tuple[str, ...]:
    """Return the heads that are computed on the target, but serve no task of it.

    The head of a target task is called as the task is, that of a source alone
    ``source_<task>`` or, among several sources, ``<name>_<task>``.
    """
    return tuple(
        head
        for head in start.observed.get(TARGET, ())
        if head != start.tasks[head].name.replace(".", "/")  # names of modules have no dots
    )
