"""``jlrun predict RUN --input FILE --output FILE``: predictions of a run's selected model."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_json
from jlrun.files.names import printable
from jlrun.files.places import check_file
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.prediction_files import FORMATS, write_columns

if TYPE_CHECKING:
    from jlrun.runs.saved_model import SavedModel


def main(args: list[str]) -> int:
    """Predict rows and write a table: CSV, a list of objects, an object a line, or Parquet."""
    parsed = _parse(args)
    if parsed.output.suffix.lower() not in FORMATS:
        found = f"'{parsed.output}' is none of {', '.join(FORMATS)}"
        raise UserError.of("--output", found)
    check_file(parsed.output, "--output")
    if parsed.scores is not None:
        check_file(parsed.scores, "--scores")

    from jlrun.runs.auto_dropout import strange_holes
    from jlrun.runs.calibrated import calibrated
    from jlrun.runs.new_inputs import new_inputs
    from jlrun.runs.predicting import (
        kept_intervals,
        missing_interval_lines,
        predict_rows,
        score_rows,
        written_columns,
    )
    from jlrun.runs.saved_model import load_saved_model
    from jlrun.runs.saved_run import load_run

    settings, _ = load_run(parsed.run)
    saved = load_saved_model(parsed.run, settings)
    _check_tasks(parsed.run, saved)
    chosen = calibrated(parsed.run, saved.scored, parsed.calibrated, parsed.tuned)
    checkpoints, scored = RunDirectory(parsed.run).checkpoints, chosen.scored
    intervals = kept_intervals(checkpoints, scored, parsed.level)
    given = (parsed.run, settings, saved, parsed.input, parsed.on_error == "skip", parsed.columns)
    with new_inputs(*given) as inputs:
        for line in strange_holes(parsed.run, inputs.named.rows, tuple(saved.specs)):
            print(printable(line))
        found = predict_rows(saved, inputs.named, chosen)
    predicted = written_columns(scored, found, intervals, parsed.probabilities == "all")
    columns = joined_columns(inputs.named.names, inputs.passed, predicted)
    scores = score_rows(scored, found, inputs.targets, intervals)
    write_columns(parsed.output, columns)
    for line in (*inputs.lines, *missing_interval_lines(scored, intervals, parsed.level)):
        print(printable(line))
    if parsed.scores is not None:
        write_json(parsed.scores, {"level": parsed.level, "scores": scores})
    for line in score_lines(scores):
        print(printable(line))
    print(f"{len(inputs.named.names)} rows predicted: {parsed.output}")
    return 0


def _parse(args: Sequence[str]) -> Namespace:
    parse = parser("predict", "Predict new rows with the selected model of a run.")
    add = parse.add_argument
    add("run", type=given_path, help="run directory")
    inputs = "image, folder, .npy, .npz, or a table"
    add("--input", type=given_path, required=True, help=inputs)
    add("--output", type=given_path, required=True, help=", ".join(FORMATS))
    bad = "of rows and images that can't be used: report them and stop, or leave them out"
    add("--on-error", choices=["fail", "skip"], default="fail", help=bad)
    passed = "columns of a table that go to the output, such as an identifier"
    add("--columns", nargs="+", default=[], metavar="COLUMN", help=passed)
    every = "of classes: those of all (default), or of the predicted one alone"
    add("--probabilities", choices=["all", "winner"], default="all", help=every)
    level = "of the intervals of predicted numbers (default 0.95)"
    add("--level", type=_level, default=0.95, help=level)
    fitted = "probabilities at the temperature fitted to validation rows; default: as trained"
    add("--calibrated", action="store_true", help=fitted)
    tuned = "decide yes-or-no tasks and labels by thresholds tuned on validation rows, not by 0.5"
    add("--tuned", action="store_true", help=tuned)
    scores = "also write the scores of rows with labels to this JSON file"
    add("--scores", type=given_path, help=scores)
    return parse.parse_args(args)


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level < 1:
        raise ArgumentTypeError(f"'{text}' is no share between 0 and 1, such as 0.9")
    return level


def _check_tasks(run: Path, saved: SavedModel) -> None:
    """Check that the run learned tasks, and none whose predictions are maps."""
    if not saved.scored:
        message = "this run learned no task (pretraining.only); go on from it with source.run"
        raise UserError.of(str(run), message)
    dense = [o.spec.name for o in saved.scored if o.spec.task.dense]
    if dense:
        message = f"{', '.join(dense)}: maps do not fit in a table; load the run from Python"
        raise UserError.of("--output", message)


def joined_columns(
    names: Sequence[str], passed: Mapping[str, Sequence[str]], predicted: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns of the output; passed ones with a name of it get ``_given`` added."""
    taken = {"input", *predicted}
    own = {f"{name}_given" if name in taken else name: cells for name, cells in passed.items()}
    return {"input": names, **own, **predicted}


def score_lines(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line with the scores of each task."""
    return [
        f"{task}, {found['rows']:,.0f} rows with a label: "
        + ", ".join(f"{metric} {value:.4g}" for metric, value in found.items() if metric != "rows")
        for task, found in scores.items()
    ]
