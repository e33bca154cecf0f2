"""Columns of a sweep in TensorBoard's HParams: the union of what its runs set and score.

TensorBoard takes them from the first run that states any, in the order of names; the sweep's own
folder, whose run is called ``.``, comes before those of its jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jlrun.config.schema import Settings
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.hparams import OBJECTIVE_TAG, hparam_values
from jlrun.reporting.result import read_result
from jlrun.runs.rehearsal import changed_settings, compared_settings
from jlrun.runs.saved_run import load_any_config

Values = Mapping[str, float | str]


def write_columns(directory: Path, jobs: Iterable[str]) -> bool:
    """Write the columns into the sweep's folder, in place of earlier ones.

    Args:
        directory: of the sweep.
        jobs: folders of its runs, relative to it.

    Returns:
        whether there are any: of runs that are complete, and record for TensorBoard.
    """
    found = [each for job in jobs if (each := _of_run(directory / job)) is not None]
    if not found:
        return False
    from torch.utils.tensorboard.summary import hparams

    from jlrun.reporting.recorders.tensorboard import EventFile

    metrics = dict.fromkeys((tag for _, tags in found for tag in tags), 0.0)
    experiment, *_ = hparams(united(values for values, _ in found), metrics)
    file = EventFile(directory)
    file.rewrite(lambda tag, step, is_number: False, lambda: None)
    file.add(0, [*experiment.value])
    file.close()
    return True


def united(runs: Iterable[Values]) -> dict[str, float | str]:
    """Return a value for each key of any run; a text where those of some run are texts."""
    found: dict[str, float | str] = {}
    for values in runs:
        found |= {k: v for k, v in values.items() if not isinstance(found.get(k), str)}
    return found


def _of_run(folder: Path) -> tuple[dict[str, float | str], list[str]] | None:
    """Return the values by which a run is compared, and its metrics; None if it records none."""
    try:
        result = read_result(folder)
        if result is None or result["status"] != "completed" or not _records(folder):
            return None
        config = Settings.parse(load_any_config(folder)[0]).model_dump(mode="json")
    except ValueError:  # it is damaged, as the summary says
        return None
    settings = {"mode": result["mode"], **compared_settings(config)}
    values = hparam_values(settings, changed_settings(result["overrides"]))
    tags = [f"test/{task}/{metric}" for task, scores in result["test"].items() for metric in scores]
    return values, [*tags, *([OBJECTIVE_TAG] if result.get("objective") else [])]


def _records(folder: Path) -> bool:
    return RunDirectory(folder).tensorboard.is_dir()
