"""Check of an exported file: it is run on rows, and compared with the run's own predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from jlrun.errors import UserError
from jlrun.runs.exporting.program import Exportable, Tensors
from jlrun.runs.exporting.runnable import Runnable
from jlrun.runs.exporting.sample_rows import sample_masks, sample_rows
from jlrun.tasks import Regression, Task
from jlrun.tasks.target_scales import to_scale

TOLERANCE = 1e-4
BATCHES = (1, 7)  # rows at once
_CALLS = 7


def check_export(run: Exportable, exported: Runnable, folder: Path) -> dict[str, float]:
    """Return task -> the largest difference between the file and the run, over all rows.

    Rows are made up (`sample_rows`), with other values than those that the graph was traced with;
    seven of them at once, and seven alone.

    Raises:
        UserError: if a difference is above 1e-4, or the file can't be run.
    """
    batches = list(_batches(run))
    try:
        found = exported.predict(folder, batches)
    except Exception as error:  # those of runtimes have no class in common
        lines = str(error).strip().splitlines() or [type(error).__name__]
        message = f"the {exported.name} file of this model can't be run: {lines[0][:300]}"
        raise UserError.of("--format", message) from error
    worst = dict.fromkeys((o.spec.name for o in run.chosen.scored), 0.0)
    for batch, predicted in zip(batches, found, strict=True):
        expected = run.own_predictions(*batch)
        for objective in run.chosen.scored:
            task = objective.spec.name
            found_here = difference(objective.spec.task, predicted[task], expected[task])
            worst[task] = max(worst[task], found_here)
    _check_small(exported, worst)
    return worst


def difference(task: Task, found: Tensor, expected: Tensor) -> float:
    """Return the largest difference between predictions; infinite where shapes differ.

    Numbers are compared as the model learned them: on the scale of the target, in its standard
    deviations. Two values that are not a number are equal.
    """
    if found.shape != expected.shape:
        return float("inf")
    if isinstance(task, Regression):
        found, expected = (_standardised(task, x) for x in (found, expected))
    apart = (found.double() - expected.double()).abs()
    apart = apart.masked_fill((found == expected) | (found.isnan() & expected.isnan()), 0.0)
    apart = apart.masked_fill(apart.isnan(), float("inf"))
    return float(apart.max()) if apart.numel() else 0.0


def difference_phrases(run: Exportable, worst: Mapping[str, float]) -> list[str]:
    """Return a phrase on the difference of each task."""
    kinds = {o.spec.name: o.spec.task for o in run.chosen.scored}
    return [
        f"{task}: at most {worst[task]:.1e}"
        + (" standard deviations of the target" if isinstance(kinds[task], Regression) else "")
        for task in worst
    ]


def _batches(run: Exportable) -> Iterator[tuple[Tensors, Tensors]]:
    for size in BATCHES:
        for call in range(_CALLS if size == 1 else 1):
            seed = 100 * size + call
            masks = sample_masks(run.masked, size + 1, seed)  # of which the first has all
            rows = slice(0, 1) if size == 1 and not call else slice(1, None)
            present = {name: mask[rows] for name, mask in masks.items()}
            yield sample_rows(run.specs, size, seed), present


def _standardised(task: Regression, values: Tensor) -> Tensor:
    mean, std = task.units
    return (to_scale(values.double(), task.scale) - mean) / std


def _check_small(exported: Runnable, worst: Mapping[str, float]) -> None:
    far = {task: value for task, value in worst.items() if not value <= TOLERANCE}
    if far:
        shown = ", ".join(f"{task} by {value:.1e}" for task, value in far.items())
        raise UserError.of(
            "--format",
            f"the {exported.name} file predicts something else than the run: {shown}, more than "
            f"{TOLERANCE:.0e}; nothing was written",
        )
