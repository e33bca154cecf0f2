"""Frames of a run: scores with their intervals, curves, and predictions of the test rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.errors import UserError
from jlrun.files.atomic import RESTORE, reading
from jlrun.reporting.recorders.metrics_csv import COLUMNS, read_rows
from jlrun.reporting.recorders.result_table import model_column, primary_metric, score_of
from jlrun.training.recorder import MAIN_FIT

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("fit", "task", "split", "metric", "value", "low", "high")


def scores_frame(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return the scores in a ``result.json``, a row for each, with the columns `SCORES`.

    ``fit`` is ``main`` or a baseline; ``low`` and ``high`` are the ends of the 95 % interval over
    the test rows, NaN where there is none.
    """
    import pandas as pd

    frame = pd.DataFrame(list(_scores(result)), columns=list(SCORES))
    return frame.astype(dict.fromkeys(("value", "low", "high"), "float64"))


def _scores(result: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    intervals = result.get("intervals") or {}
    of_baselines = intervals.get("baselines") or {}
    yield from _of_split(MAIN_FIT, "val", result.get("val"), {})
    yield from _of_split(MAIN_FIT, "test", result.get("test"), intervals.get("test"))
    for name, scores in (result.get("baselines") or {}).items():
        yield from _of_split(name, "test", scores, of_baselines.get(name))


def _of_split(
    fit: str,
    split: str,
    scores: Mapping[str, Mapping[str, float | None]] | None,
    intervals: Mapping[str, Mapping[str, Any]] | None,
) -> Iterator[tuple[Any, ...]]:
    for task, metrics in (scores or {}).items():
        for metric, value in metrics.items():
            ends = (intervals or {}).get(task, {}).get(metric) or (None, None)
            yield (fit, task, split, metric, value, *ends)


def main_scores_frame(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return the main test score of each task, as the command prints them, as numbers.

    The index is the task; columns are ``metric``, the model's score and the ends of its 95 %
    interval, ``low`` and ``high``, those of each baseline, and ``gain`` in percent.
    """
    import pandas as pd

    test, gain = result.get("test") or {}, result.get("gain") or {}
    model = model_column(result)
    intervals = (result.get("intervals") or {}).get("test") or {}
    rows = []
    for task, scores in test.items():
        metric = primary_metric(result, task)
        low, high = intervals.get(task, {}).get(metric) or (None, None)
        row = {"metric": metric, model: scores.get(metric), "low": low, "high": high}
        for name, baseline in (result.get("baselines") or {}).items():
            row[name] = score_of(baseline, task, metric)
        rows.append(row | ({"gain": gain.get("per_task", {}).get(task)} if gain else {}))
    columns = rows[0] if rows else ("metric", model, "low", "high")
    frame = pd.DataFrame(rows, index=pd.Index(test, name="task"), columns=list(columns))
    return frame.astype({name: "float64" for name in frame.columns if name != "metric"})


def curves_frame(path: Path) -> pd.DataFrame:
    """Return a ``metrics.csv``: a row for each number, with fit, phase, epoch, step, tag and value.

    Raises:
        UserError: if it is damaged.
    """
    import pandas as pd

    frame = pd.DataFrame(list(read_rows(path)), columns=list(COLUMNS))
    return frame.astype({"epoch": "int64", "step": "int64", "value": "float64"})


def predictions_frame(path: Path, with_classes: Iterable[str]) -> pd.DataFrame:
    """Return a ``predictions/test.csv``: classes as text whatever they look like, else numbers.

    Args:
        path: the file.
        with_classes: tasks whose truth and prediction are classes.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    import pandas as pd

    if not path.is_file():
        message = "there are no predictions: the run is not complete, or has recorder.rows=false"
        raise UserError.of(str(path), message)
    names = {name for task in with_classes for name in (task, f"{task}_true")} | {"data", "file"}
    with reading(path, RESTORE):
        kinds: Any = {**dict.fromkeys(names, "str"), "place": "Int64"}
        return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
