"""``jlrun evaluate RUN [KEY=VALUE …]``: score a run's selected model again, here and now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.cli.verbs import given_path, names_data, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_json
from jlrun.files.names import printable
from jlrun.files.places import check_file
from jlrun.files.run_directory import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jlrun.runs.assembly import Assembly
    from jlrun.runs.settings import RunSettings


def main(args: list[str]) -> int:
    """Print the scores of the selected weights on validation and test splits.

    Overrides change values of the run's own config, for example ``engine.device=cpu`` or where its
    data lies; the run itself is not changed.
    """
    parse = parser("evaluate", "Score the selected model of a run on its splits.")
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values of its config")
    parse.add_argument(
        "--missing",
        action="store_true",
        help="also the test scores with modalities missing, and what each contributes",
    )
    parse.add_argument("--output", type=given_path, help="also write the scores to this JSON file")
    parsed = parse.parse_intermixed_args(args)

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from jlrun.reporting.recorders.calibration_lines import calibration_lines, threshold_lines
    from jlrun.reporting.recorders.closing_lines import (
        contribution_lines,
        missing_lines,
        prompt_lines,
        retrieval_lines,
    )

    if parsed.output is not None:
        check_file(parsed.output, "--output")
    scores = evaluate_run(parsed.run, parsed.overrides, parsed.missing)
    table = Table("split", "task", "metric", "score")
    for split in ("val", "test"):
        for task, metrics in scores[split].items():
            for metric, value in metrics.items():
                table.add_row(split, Text(printable(task)), Text(metric), f"{value:.4f}")
    if table.row_count:
        Console().print(table)
    sections = (
        calibration_lines,
        threshold_lines,
        contribution_lines,
        missing_lines,
        retrieval_lines,
        prompt_lines,
    )
    for lines in (lines_of(scores) for lines_of in sections):
        if lines:
            print("\n".join(["", *lines]))
    if parsed.output is not None:
        write_json(parsed.output, scores)
    if line := unlabelled_line(scores):
        print(line)
    return 0


def evaluate_run(directory: Path, overrides: list[str], missing: bool = False) -> dict[str, Any]:
    """Return split -> task -> metric -> score of the selected weights.

    Also ``per_class`` of the test split, ``calibration`` and ``thresholds`` as the run fitted
    them to its validation rows, on this test split, and with a shared space of modalities what
    ``result.json`` says of it.

    Args:
        directory: of the run.
        overrides: of its config.
        missing: also ``missing`` and ``contribution`` (`jlrun.evaluation.missing.report`).

    Raises:
        UserError: if the run has no selected weights, or an override is wrong, or its model has
            one modality and can miss none.
    """
    from jlrun.data.dataset import report_warnings
    from jlrun.engine import session_of
    from jlrun.evaluation.kept_predictions import KeptPredictions
    from jlrun.evaluation.per_class import PerClassCounts
    from jlrun.evaluation.scores import evaluate, predictor
    from jlrun.models import checkpoints
    from jlrun.runs.calibration import calibration_report, read_calibrations
    from jlrun.runs.outcome import missing_scores, score_spaces
    from jlrun.runs.saved_run import load_changed
    from jlrun.training.fit_folder import FitFolder

    settings = load_changed(directory, overrides)
    engine = settings.engine
    with session_of(engine):
        assembly = _assembled(directory, settings, overrides)
        for line in report_warnings(assembly.data.reports):
            print(line, file=sys.stderr)
        for line in check_data(directory, assembly, overrides):
            print(line)
        fit = assembly.plan.fits[0]
        model, run = assembly.new_model(fit), RunDirectory(directory)
        checkpoints.load_model(run.best, model)
        predict = predictor(model, assembly.engine)
        folder = FitFolder(run.checkpoints, save_seconds=0)
        more = missing_scores(assembly, lambda: predict) if missing else {}
        if missing and not more:
            one = f"the run has one modality, '{fit.modalities[0]}'"
            reason = "the run learned no task" if len(fit.modalities) > 1 else one
            raise UserError.of("--missing", reason)
        per_class, kept = PerClassCounts(), KeptPredictions()
        scores = {
            "val": evaluate(predict, fit.scored, assembly.plan.val),
            "test": evaluate(predict, fit.scored, assembly.plan.test, (per_class, kept)),
        }
        fitted = read_calibrations(directory, fit.scored)
        return {
            **scores,
            "per_class": per_class.by_task(),
            **calibration_report(fitted, fit.scored, kept.by_task(), settings.seed),
            **more,
            **score_spaces(folder, assembly).to_json(),
        }


def _assembled(directory: Path, settings: RunSettings, overrides: Sequence[str]) -> Assembly:
    """Return the parts of a run; other data is read as the run's model learned to read."""
    from jlrun.runs.assembly import assemble
    from jlrun.runs.saved_model import as_learned, read_specs

    if not names_data(overrides) or settings.data.zero_shot is not None:
        return assemble(settings)
    assembly = assemble(settings, read_specs(directory))
    main, *others = assembly.plan.fits
    main = replace(main, scored=as_learned(directory, main.scored))
    return replace(assembly, plan=replace(assembly.plan, fits=(main, *others)))


def unlabelled_line(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line on the tasks of which no test row has a label; empty if all have some."""
    missing = [task for task in scores["val"] if task not in scores["test"]]
    if not missing:
        return ""
    return f"test: no row has a label of {', '.join(missing)}, so that nothing is scored"


def check_data(directory: Path, assembly: Assembly, overrides: Sequence[str]) -> list[str]:
    """Check the data of a saved run; return lines for the user.

    Other data than the run's is meant where overrides name a data set, or the seed that divides it.

    Raises:
        UserError: if the data has changed; where other data is meant, if it has training rows.
    """
    from jlrun.runs.fingerprints import check_other_data, check_unchanged

    if names_data(overrides):
        return check_other_data(directory, assembly.fingerprint)
    fix = "name other data on purpose, as in dataset.root=…"
    return check_unchanged(directory, assembly.fingerprint, fix=fix)
