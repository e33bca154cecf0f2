"""Ranking of sources by what they make of the target's training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jlrun.engine import session_of
from jlrun.errors import UserError
from jlrun.runs.ranking import MEAN_RANK, TITLES
from jlrun.runs.ranking.candidates import each_candidate, embed
from jlrun.runs.ranking.measures import measure
from jlrun.runs.ranking.sources import Sources
from jlrun.runs.ranking.target import Target, load_targets
from jlrun.runs.settings import RunSettings
from jlrun.runs.sweeps.comparison import mean_ranks

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Row:
    """A candidate on a task.

    Attributes:
        name: as the user wrote it; of untrained networks, what they are.
        kind: ``run``, ``backbone`` or ``untrained``.
        width: number of its features.
        scores: measure -> score; None where it does not apply.
        heads: measure -> the candidate's head that the score is about, where it has any.
        mean_rank: among what is trained, over the measures that apply to all of it; 1 is best.
    """

    name: str
    kind: str
    width: int
    scores: dict[str, float | None]
    heads: dict[str, str]
    mean_rank: float | None = None

    @property
    def trained(self) -> bool:
        """Return whether there is anything to transfer."""
        return self.kind != UNTRAINED


@dataclass(frozen=True)
class Ranking:
    """All candidates on a task.

    Attributes:
        task: what it is called.
        num_rows: labelled training rows that were embedded.
        by: the measure, or ``mean_rank``, that they are sorted by.
        rows: the best first.
    """

    task: str
    num_rows: int
    by: str
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        rows = [
            {"candidate": row.name, "kind": row.kind, "features": row.width}
            | {**row.scores, MEAN_RANK: row.mean_rank, "heads": row.heads}
            for row in self.rows
        ]
        return {"num_rows": self.num_rows, "by": self.by, "candidates": rows}

    def verdict(self) -> str:
        """Return in a line what to transfer from."""
        title = "mean rank" if self.by == MEAN_RANK else TITLES[self.by]
        first, ahead = self.rows[0], self._ahead()
        if not ahead:
            return (
                f"{self.task}: by {title} no candidate is ahead of {first.name}; "
                "expect little of a transfer"
            )
        behind = [row.name for row in self.rows if row.trained and row not in ahead]
        note = f"; not ahead of an untrained network: {', '.join(behind)}" if behind else ""
        return f"{self.task}: by {title} transfer from {first.name}{note}"

    def _ahead(self) -> tuple[Row, ...]:
        """Return the rows before the first untrained network."""
        until = next((i for i, row in enumerate(self.rows) if not row.trained), len(self.rows))
        return self.rows[:until]


def rank(task: str, num_rows: int, rows: Sequence[Row], by: str) -> Ranking:
    """Sort candidates, the best first; those without a score of ``by`` come last.

    Args:
        task: what the scores are of.
        num_rows: that they were computed on.
        rows: at least one of them trained.
        by: a measure, or ``mean_rank``.

    Raises:
        UserError: if ``by`` applies to no candidate.
    """
    ranked = _with_ranks(rows)

    def place(row: Row) -> tuple[bool, float]:
        value = row.mean_rank if by == MEAN_RANK else row.scores[by]
        if value is None:
            return True, 0.0
        return False, value if by == MEAN_RANK else -value

    ordered = tuple(sorted(ranked, key=place))
    if place(ordered[0])[0]:
        raise UserError.of("--by", f"'{by}' applies to no candidate on task '{task}'; use logme")
    return Ranking(task, num_rows, by, ordered)


def _with_ranks(rows: Sequence[Row]) -> list[Row]:
    trained = [row for row in rows if row.trained]
    # Rounded: scores at a bound that they all reach, as the H-score's, differ in the last digits.
    table = [
        [round(value, 9) for value in column if value is not None]
        for column in ([row.scores[name] for row in trained] for name in TITLES)
        if None not in column
    ]
    found = mean_ranks(list(zip(*table, strict=True)))
    ranks = {row.name: value for row, value in zip(trained, found, strict=True)}
    return [replace(row, mean_rank=ranks.get(row.name)) for row in rows]


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
    with session_of(node):
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
