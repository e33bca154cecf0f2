"""Exports: the weights of a run for other programs."""

from jlrun.runs.exporting.contents import Export, export_encoder, export_model
from jlrun.runs.exporting.readme import loading_code, readme
from jlrun.runs.exporting.writing import check_output, write_export

__all__ = [
    "Export",
    "check_output",
    "export_encoder",
    "export_model",
    "loading_code",
    "readme",
    "write_export",
]
