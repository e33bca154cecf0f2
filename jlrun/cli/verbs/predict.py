"""``jlrun predict RUN --input FILE --output FILE``: predictions of a run's selected model."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_json
from jlrun.files.names import printable
from jlrun.files.places import check_file
from jlrun.runs.prediction_files import FORMATS, write_columns
from jlrun.wording import counted


def main(args: list[str]) -> int:
    """Predict rows and write a table: CSV, a list of objects, an object a line, or Parquet."""
    parsed = _parse(args)
    if parsed.output.suffix.lower() not in FORMATS:
        found = f"'{parsed.output}' is none of {', '.join(FORMATS)}"
        raise UserError.of("--output", found)
    check_file(parsed.output, "--output")
    if parsed.scores is not None:
        check_file(parsed.scores, "--scores")
    _check_distinct(parsed)

    from jlrun.runs.new_predictions import Asked, predict_new

    asked = Asked(
        skip=parsed.on_error == "skip",
        columns=parsed.columns,
        level=parsed.level,
        every_class=parsed.probabilities == "all",
        calibrated=parsed.calibrated,
        tuned=parsed.tuned,
    )
    found = predict_new(parsed.run, parsed.input, asked)
    write_columns(parsed.output, found.columns)
    for line in found.lines:
        print(printable(line))
    if parsed.scores is not None:
        write_json(parsed.scores, {"level": parsed.level, "scores": found.scores})
    for line in score_lines(found.scores):
        print(printable(line))
    print(f"{counted(len(found.columns['input']), 'row')} predicted: {parsed.output}")
    return 0


def _check_distinct(parsed: Namespace) -> None:
    """Check that no file is written over another that the command names.

    Raises:
        UserError: if one is.
    """
    named = {"--input": parsed.input, "--output": parsed.output, "--scores": parsed.scores}
    seen: dict[Path, str] = {}
    for option, path in named.items():
        if path is None:
            continue
        before = seen.setdefault(path.resolve(), option)
        if before != option:
            raise UserError.of(option, f"'{path}' is the file of {before}; name another one")


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


def score_lines(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line with the scores of each task."""
    return [
        f"{task}, {counted(round(found['rows']), 'row')} with a label: "
        + ", ".join(f"{metric} {value:.4g}" for metric, value in found.items() if metric != "rows")
        for task, found in scores.items()
    ]
