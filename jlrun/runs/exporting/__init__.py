"""Exports of a run for other programs: its weights, or its model as a program that computes."""

from jlrun.runs.exporting.contents import Export, export_encoder, export_model
from jlrun.runs.exporting.model_card import model_card
from jlrun.runs.exporting.programs import WrittenProgram, export_program
from jlrun.runs.exporting.readme import loading_code, readme
from jlrun.runs.exporting.writing import check_output, write_export

__all__ = [
    "Export",
    "WrittenProgram",
    "check_output",
    "export_encoder",
    "export_model",
    "export_program",
    "loading_code",
    "model_card",
    "readme",
    "write_export",
]
