"""What was inferred of a table, to be read."""

from __future__ import annotations

from collections.abc import Mapping

from jlrun.data.tables.files.asked_targets import ASKED_FOR
from jlrun.data.tables.files.kinds import Inferred
from jlrun.data.tables.files.request import Request
from jlrun.data.tables.files.statistics import FileStatistics
from jlrun.data.tables.files.target_kinds import Target


def outline_lines(
    request: Request,
    table: FileStatistics,
    inferred: Mapping[str, Inferred],
    targets: Mapping[str, Target],
    reasons: Mapping[str, str],
) -> list[str]:
    """Return what was inferred and why, a line for each column."""
    facts = [(t.column, f"-> {name}", f"{t.kind}: {reasons[name]}") for name, t in targets.items()]
    facts += [(name, found.kind, found.why) for name, found in inferred.items() if found.why]
    if not any(reason != ASKED_FOR for reason in reasons.values()):
        facts = [fact for fact in facts if not fact[1].startswith("-> ")]
    if not facts:
        return []
    first, second = (max(len(fact[i]) for fact in facts) for i in (0, 1))
    fix = f"{request.where}.columns={{name: kind}} says otherwise"
    title = f"{request.where}: {request.path.name}, {table.num_rows:,} rows, inferred ({fix})"
    return [title, *(f"  {a:<{first}}  {b:<{second}}  {c}" for a, b, c in facts)]
