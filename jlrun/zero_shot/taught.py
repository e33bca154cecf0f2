"""Which classes another run has learned, whose weights a run begins with."""

from __future__ import annotations

from pathlib import Path

from jlrun.errors import UserError
from jlrun.files import read_json
from jlrun.result import read_result
from jlrun.zero_shot.classes import ClassSplit


def refuse_taught(run: Path, split: ClassSplit, where: str) -> None:
    """Check that the run in ``run`` has not learned an unseen class.

    Classes are the same if they have the same name. Those that were unseen there do not count.

    Raises:
        UserError: if it has. A run without a description is left to what reads its weights.
    """
    description = run / "model.json"
    if not description.is_file():
        return
    heads = read_json(description)["heads"].values()
    unseen_there = ((read_result(run) or {}).get("zero_shot") or {}).get("unseen_classes", [])
    taught = {name for head in heads for name in head["classes"]} - set(unseen_there)
    shared = [name for name in split.unseen_names if name in taught]
    if shared:
        raise UserError.of(
            where,
            f"'{run}' has learned {', '.join(shared)}, which zero_shot.unseen says are unseen; "
            "name other classes, or a run without them",
        )
