"""Weights from local files of any library."""

from jlrun.models.weight_files.loading import FittedTensors, fit_weights, load_weights
from jlrun.models.weight_files.reading import SUFFIXES, read_weights
from jlrun.models.weight_files.report import LoadReport, Skipped

__all__ = [
    "SUFFIXES",
    "FittedTensors",
    "LoadReport",
    "Skipped",
    "fit_weights",
    "load_weights",
    "read_weights",
]
