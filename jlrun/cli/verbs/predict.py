"""``jlrun predict RUN --input FILE --output FILE``: predictions of a run's selected model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.files.places import check_file
from jlrun.files.run_directory import RunDirectory

if TYPE_CHECKING:
    from torch import Tensor

    from jlrun.data.rows import NamedRows
    from jlrun.data.specs import Spec
    from jlrun.runs.calibrated import Calibrated
    from jlrun.runs.saved_model import SavedModel
    from jlrun.tasks import TaskSpec

BATCH = 256


def main(args: list[str]) -> int:
    """Predict rows and write a CSV table or, for ``.json``, a list of objects."""
    parse = parser("predict", "Predict new rows with the selected model of a run.")
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument(
        "--input", type=given_path, required=True, help="image, folder, .npy, .npz, or a table"
    )
    parse.add_argument("--output", type=given_path, required=True, help=".csv or .json")
    parse.add_argument(
        "--on-error",
        choices=["fail", "skip"],
        default="fail",
        help="of bad rows of a table: report them and stop, or leave them out",
    )
    parse.add_argument(
        "--calibrated",
        action="store_true",
        help="probabilities at the temperature fitted to validation rows; default: as trained",
    )
    parse.add_argument(
        "--tuned",
        action="store_true",
        help="decide yes-or-no tasks and labels by thresholds tuned on validation rows, not by 0.5",
    )
    parsed = parse.parse_args(args)
    if parsed.output.suffix.lower() not in (".csv", ".json"):
        raise UserError.of("--output", f"'{parsed.output}' is neither .csv nor .json")
    check_file(parsed.output, "--output")

    from jlrun.runs.calibrated import calibrated
    from jlrun.runs.saved_model import load_saved_model
    from jlrun.runs.saved_run import load_run

    settings, _ = load_run(parsed.run)
    saved = load_saved_model(parsed.run, settings)
    if not saved.scored:
        message = "this run learned no task (pretraining.only); go on from it with source.run"
        raise UserError.of(str(parsed.run), message)
    dense = [o.spec.name for o in saved.scored if o.spec.task.dense]
    if dense:
        raise UserError.of(
            "--output", f"{', '.join(dense)}: maps do not fit in a table; load the run from Python"
        )
    with _inputs(parsed.run, parsed.input, saved.specs, parsed.on_error) as inputs:
        found = calibrated(parsed.run, saved.scored, parsed.calibrated, parsed.tuned)
        rows = list(_predictions(saved, inputs, found))
    write_text(parsed.output, _format(rows, parsed.output.suffix.lower()))
    print(f"{len(rows)} rows predicted: {parsed.output}")
    return 0


@contextmanager
def _inputs(run: Path, path: Path, specs: Mapping[str, Spec], on_error: str) -> Iterator[NamedRows]:
    """Read rows by the columns of the table that the run learned from, or by modalities."""
    from jlrun.data.rows_to_predict import read_inputs
    from jlrun.data.tables.files.layout import SUFFIXES
    from jlrun.data.tables.new_rows import read_new_rows

    table = RunDirectory(run).table
    if not table.is_file() or path.suffix.lower() not in SUFFIXES:
        yield read_inputs(path, specs)
        return
    with TemporaryDirectory() as folder:
        found = read_new_rows(path, table, specs, Path(folder))
        if on_error == "fail":
            found.check("--input", "--on-error skip")
        for line in found.lines():
            print(line)
        yield found.named


def _predictions(
    saved: SavedModel, inputs: NamedRows, calibration: Calibrated
) -> Iterator[dict[str, Any]]:
    import torch

    from jlrun.data.streams import Stream
    from jlrun.evaluation.scores import predictor

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
    scored = calibration.scored
    predict, names = calibration.predict(predictor(saved.model, engine)), iter(inputs.names)
    with torch.no_grad():
        for batch in stream.sweep():
            columns = [p.probabilities.cpu() for p in predict(batch, scored)]
            for i in range(batch.size):
                row: dict[str, Any] = {"input": next(names)}
                for objective, probabilities in zip(scored, columns, strict=True):
                    row |= _cells(objective.spec, probabilities[i : i + 1])
                yield row


def _cells(spec: TaskSpec, probabilities: Tensor) -> dict[str, Any]:
    """Return what is predicted for one row: the class and its probability, or the value."""
    decision = spec.task.decide(probabilities)[0]
    if not spec.classes:
        return {spec.name: float(decision)}
    if decision.ndim:
        chosen = [name for name, on in zip(spec.classes, decision.tolist(), strict=True) if on]
        return {spec.name: " ".join(chosen)}
    index = int(decision)
    return {
        spec.name: spec.classes[index],
        f"{spec.name}_probability": round(float(probabilities[0, index]), 6),
    }


def _format(rows: list[dict[str, Any]], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
