"""``jlrun export RUN --output DIR``: a run's model, for other programs and other runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.lock import held_output
from jlrun.files.run_directory import BEST, LAST
from jlrun.wording import counted

WEIGHTS = "safetensors"
FORMATS = (WEIGHTS, "torch_export", "onnx")


def main(args: list[str]) -> int:
    """Write a run's weights or program with its description; the run is not changed.

    Raises:
        UserError: if there is no such run, checkpoint or encoder, something is in the way, or the
            format can't hold the model.
    """
    parsed = _parse(args)
    _check_options(parsed)
    return _write_weights(parsed) if parsed.format == WEIGHTS else _write_program(parsed)


def _parse(args: Sequence[str]) -> Namespace:
    parse = parser(
        "export",
        "Write the model of a run with a model card: its weights as safetensors, low-rank adapters "
        "folded in, or a program from raw tensors to predictions (torch_export, onnx).",
    )
    add = parse.add_argument
    add("run", type=given_path, help="run directory")
    add("--output", type=given_path, required=True, help="folder, or one .safetensors file")
    add("--format", choices=FORMATS, default=WEIGHTS, help=f"default: {WEIGHTS}")
    add("--checkpoint", choices=[BEST, LAST], default=BEST)
    add(
        "--encoder",
        metavar="MODALITY",
        help="one encoder alone, under the names of its own network (torchvision's, for its "
        "models); TASK/MODALITY where tasks have separate encoders",
    )
    fitted = "of programs: probabilities at the temperature fitted to validation rows"
    add("--calibrated", action="store_true", help=fitted)
    tuned = "of programs: thresholds tuned on validation rows, in preprocessing.json"
    add("--tuned", action="store_true", help=tuned)
    add("--force", action="store_true", help="replace an export that is there")
    return parse.parse_args(args)


def _check_options(parsed: Namespace) -> None:
    """Check that the options go together.

    Raises:
        UserError: if one has no meaning for the format.
    """
    if parsed.format != WEIGHTS and parsed.encoder is not None:
        message = f"an encoder alone is exported as weights: --format {WEIGHTS}"
        raise UserError.of("--encoder", message)
    for option in ("calibrated", "tuned"):
        if parsed.format == WEIGHTS and getattr(parsed, option):
            message = "weights yield logits; choose --format torch_export or onnx"
            raise UserError.of(f"--{option}", message)


def _write_weights(parsed: Namespace) -> int:
    from jlrun.runs.exporting import (
        check_output,
        export_encoder,
        export_model,
        model_card,
        write_export,
    )

    check_output(parsed.output, parsed.force)
    if parsed.encoder is None:
        export = export_model(parsed.run, parsed.checkpoint)
    else:
        export = export_encoder(parsed.run, parsed.checkpoint, parsed.encoder)
    with held_output(parsed.output, "--output"):
        write_export(export, model_card(parsed.run, export.about()), parsed.output)
    tensors, values = len(export.tensors), export.num_values()
    print(f"{counted(tensors, 'tensor')}, {counted(values, 'value')}: {parsed.output}")
    for note in export.notes:
        print(note)
    return 0


def _write_program(parsed: Namespace) -> int:
    from jlrun.runs.exporting import check_output, export_program

    check_output(parsed.output, parsed.force, folder=True)
    with held_output(parsed.output, "--output"):
        written = export_program(
            parsed.run,
            parsed.format,
            parsed.output,
            checkpoint=parsed.checkpoint,
            temperature=parsed.calibrated,
            thresholds=parsed.tuned,
        )
    for phrase in written.differences:
        print(f"difference from the run's own predictions, {phrase}")
    print(f"{parsed.format}, {written.num_bytes / 1e6:,.1f} MB: {parsed.output}")
    return 0
