"""``jlrun export RUN --output DIR``: a run's weights, for other programs and other runs."""

from __future__ import annotations

from jlrun.cli.verbs import given_path, parser
from jlrun.files.lock import held_output
from jlrun.files.run_directory import BEST, LAST
from jlrun.wording import counted


def main(args: list[str]) -> int:
    """Write a run's weights with their description; the run is not changed.

    Raises:
        UserError: if there is no such run, checkpoint or encoder, or something is in the way.
    """
    parse = parser(
        "export",
        "Write the weights of a run as safetensors, low-rank adapters folded in, with what they "
        "take and yield.",
    )
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument(
        "--output", type=given_path, required=True, help="folder, or one .safetensors file"
    )
    parse.add_argument("--checkpoint", choices=[BEST, LAST], default=BEST)
    parse.add_argument(
        "--encoder",
        metavar="MODALITY",
        help="one encoder alone, under the names of its own network (torchvision's, for its "
        "models); TASK/MODALITY where tasks have separate encoders",
    )
    parse.add_argument("--force", action="store_true", help="replace an export that is there")
    parsed = parse.parse_args(args)

    from jlrun.runs.exporting import check_output, export_encoder, export_model, write_export

    check_output(parsed.output, parsed.force)
    if parsed.encoder is None:
        export = export_model(parsed.run, parsed.checkpoint)
    else:
        export = export_encoder(parsed.run, parsed.checkpoint, parsed.encoder)
    with held_output(parsed.output, "--output"):
        write_export(export, parsed.output)
    tensors, values = len(export.tensors), export.num_values()
    print(f"{counted(tensors, 'tensor')}, {counted(values, 'value')}: {parsed.output}")
    for note in export.notes:
        print(note)
    return 0
