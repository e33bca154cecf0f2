"""Predictions of new rows by the selected model of a run, and their scores where labels exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jlrun.config.nodes import task_labels
from jlrun.data.rows import NamedRows
from jlrun.data.streams import Stream
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.given_cells import GivenTargets
from jlrun.evaluation.conformal import Interval, Intervals, fewest
from jlrun.evaluation.kept_predictions import VAL_PREDICTIONS, load_predictions
from jlrun.evaluation.prediction_columns import prediction_columns
from jlrun.evaluation.scores import Prediction, Scorer, predictor
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.calibrated import Calibrated
from jlrun.runs.saved_model import SavedModel
from jlrun.runs.settings import RunSettings
from jlrun.tasks import Regression
from jlrun.tasks.classification import has_exclusive_classes
from jlrun.tasks.objective import Objective

BATCH = 256

Predictions = Mapping[str, Prediction]


def predict_rows(saved: SavedModel, inputs: NamedRows, chosen: Calibrated) -> dict[str, Prediction]:
    """Return task -> predictions of all rows, on the CPU.

    Args:
        saved: the model.
        inputs: the rows.
        chosen: its objectives, and what their probabilities are.
    """
    engine = saved.engine
    stream = Stream(
        "input",
        inputs.rows,
        specs=saved.specs,
        batch_size=BATCH,
        seed=0,
        device=engine.device,
        memory_budget=engine.memory_budget,
        channels_last=engine.channels_last,
    )
    predict, parts = chosen.predict(predictor(saved.model, engine)), list[list[Prediction]]()
    with torch.no_grad():
        for batch in stream.sweep():
            parts.append([each.on_cpu() for each in predict(batch, chosen.scored)])
    columns = (Prediction.concatenate(column) for column in zip(*parts, strict=True))
    return {o.spec.name: found for o, found in zip(chosen.scored, columns, strict=True)}


def kept_intervals(
    folders: Sequence[Path], scored: Sequence[Objective], level: float
) -> dict[str, Interval]:
    """Return task -> interval of its predictions, from the validation rows that fits kept.

    Tasks without numbers, and those with too few rows, have none.

    Args:
        folders: of the fits' checkpoints; each predicted validation rows of its own.
        scored: their objectives.
        level: of the intervals.

    Raises:
        UserError: if the file of these rows is damaged.
    """
    kept = [load_predictions(folder, VAL_PREDICTIONS) for folder in folders]
    found = {
        o.spec.name: Interval.of(o.spec.task, _joined([k[o.label] for k in kept]), level)
        for o in scored
        if isinstance(o.spec.task, Regression) and all(o.label in k for k in kept)
    }
    return {name: interval for name, interval in found.items() if interval is not None}


def _joined(parts: Sequence[RowPredictions]) -> RowPredictions:
    probabilities, targets = [p.probabilities for p in parts], [p.target for p in parts]
    return RowPredictions(torch.cat(probabilities), torch.cat(targets))


def missing_interval_lines(
    scored: Sequence[Objective], intervals: Intervals, level: float
) -> list[str]:
    """Return a line on each task with numbers whose predictions have no interval."""
    return [
        f"{o.spec.name}: no interval, as the run kept fewer than {fewest(o.spec.task, level)} "
        f"validation rows that have one, which {level:.4g} takes"
        for o in scored
        if isinstance(o.spec.task, Regression) and o.spec.name not in intervals
    ]


def written_columns(
    scored: Sequence[Objective], found: Predictions, intervals: Intervals, every_class: bool
) -> dict[str, list[Any]]:
    """Return name -> cells of the predictions of all tasks."""
    columns: dict[str, list[Any]] = {}
    for objective in scored:
        spec = objective.spec
        probabilities, interval = found[spec.name].probabilities, intervals.get(spec.name)
        columns |= prediction_columns(spec, probabilities, interval, every_class)
    return columns


def score_rows(
    scored: Sequence[Objective],
    found: Predictions,
    targets: Mapping[str, GivenTargets],
    intervals: Intervals,
) -> dict[str, dict[str, float]]:
    """Return task -> metric -> score, over the rows with a label; ``rows`` is their number.

    Of numbers with an interval, ``coverage`` is the share of rows within it.
    """
    scores = dict[str, dict[str, float]]()
    for objective in scored:
        spec, given = objective.spec, targets.get(objective.spec.name)
        if given is None or not bool(given.known.any()):
            continue
        prediction, truth = found[spec.name].of_rows(given.known), given.values[given.known]
        scorer = Scorer(spec)
        scorer.update(truth, prediction)
        scores[spec.name] = {"rows": len(truth), **scorer.compute()}
        if spec.name in intervals:
            covered = intervals[spec.name].coverage(prediction.probabilities[:, 0], truth)
            scores[spec.name]["coverage"] = covered
    return scores


def table_targets(settings: RunSettings, scored: Sequence[Objective]) -> dict[str, Target]:
    """Return task -> its target in a table, as far as the config names one."""
    found = dict[str, Target]()
    for stream, node in settings.data.nodes.items():
        targets = node.get("targets")
        if stream != settings.data.leading and "target" in settings.data.nodes:
            continue
        for task, label in task_labels(stream, node).items():
            target = targets.get(task) if isinstance(targets, Mapping) else None
            if isinstance(target, Mapping) and isinstance(target.get("column"), str):
                found[label] = Target(**target)
    names = {o.spec.name for o in scored}
    return {task: target for task, target in found.items() if task in names}


def folder_targets(scored: Sequence[Objective], names: Sequence[str]) -> dict[str, GivenTargets]:
    """Return the labels of image files in folders named after classes, of a run with one such task.

    Args:
        scored: the objectives of the run.
        names: paths of the files, relative to the folder of all.
    """
    with_classes = [o.spec for o in scored if has_exclusive_classes(o.spec.task)]
    if len(with_classes) != 1:
        return {}
    (spec,) = with_classes
    above = [Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in names]
    known = torch.tensor([name in spec.classes for name in above])
    values = torch.tensor([spec.classes.index(n) if n in spec.classes else 0 for n in above])
    return {spec.name: GivenTargets(values, known, ())}
