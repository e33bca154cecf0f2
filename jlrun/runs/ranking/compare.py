"""Rank sources by what they make of the target's training rows."""

from __future__ import annotations

from jlrun.engine import session
from jlrun.runs.ranking.candidates import each_candidate
from jlrun.runs.ranking.embedding import embed
from jlrun.runs.ranking.measures import measure
from jlrun.runs.ranking.ranking import Ranking, Row, rank
from jlrun.runs.ranking.sources import Sources
from jlrun.runs.ranking.target import Target, load_targets
from jlrun.runs.settings import RunSettings


def compare(sources: Sources, settings: RunSettings, by: str = "logme") -> list[Ranking]:
    """Return a ranking for each task of the target; nothing is trained, and nothing written.

    Args:
        sources: from `jlrun.runs.ranking.sources.find_sources`.
        settings: the config that describes the target (`compose_target`).
        by: a measure, or ``mean_rank``.

    Raises:
        UserError: for whatever is wrong with the target or a candidate.
    """
    node = settings.engine
    with session(threads=node.threads, deterministic=node.deterministic):
        targets = load_targets(settings)
        return [found for t in targets for found in _compare_on(t, sources, settings, by)]


def _compare_on(target: Target, sources: Sources, settings: RunSettings, by: str) -> list[Ranking]:
    rows: dict[str, list[Row]] = {task.name: [] for task in target.tasks}
    for candidate in each_candidate(sources, target, settings):
        embedding = embed(candidate, target)
        for task in target.tasks:
            labelled = embedding.take(target.labelled(task))
            scores = measure(labelled, target.column(task), task.task)
            width = embedding.features.shape[1]
            rows[task.name].append(
                Row(candidate.name, candidate.kind, width, scores.values, scores.heads)
            )
    return [rank(task.name, len(target.column(task)), rows[task.name], by) for task in target.tasks]
