"""Batches that are larger than the data they are drawn from."""

from __future__ import annotations

from jlrun.errors import UserError
from jlrun.training.plan import Plan


def fitted_batches(plan: Plan, own: bool) -> list[str]:
    """Return a line on each data set that has fewer training rows than a batch.

    Args:
        plan: of the run, with all baselines.
        own: whether the user chose the batch size, which is then refused instead.

    Raises:
        UserError: if the user's choice does not fit.
    """
    smaller, size = dict[str, int](), 0
    for stream in (s for fit in plan.fits for phase in fit.phases for s in phase.train.values()):
        rows = len(stream.rows)
        if rows < stream.batch_size:
            smaller[stream.name] = min(rows, smaller.get(stream.name, rows))
            size = stream.batch_size
    if own and smaller:
        raise UserError.of("batch_size", _refusal(size, smaller))
    return [
        f"{name}: {rows} training rows are fewer than batch_size={size}: each step takes all of "
        "them"
        for name, rows in smaller.items()
    ]


def _refusal(size: int, smaller: dict[str, int]) -> str:
    each = " and ".join(f"the {rows} training rows of '{name}'" for name, rows in smaller.items())
    return f"{size} is more than {each}; choose batch_size={min(smaller.values())} or less"
