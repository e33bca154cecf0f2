"""Unsupervised validators: scores of a model on a target without labels."""

from jlrun.evaluation.validators.base import Evidence, Validator
from jlrun.evaluation.validators.certainty import BNM, Entropy, InformationMaximization
from jlrun.evaluation.validators.dev import DEV
from jlrun.evaluation.validators.snd import SND
from jlrun.evaluation.validators.source_accuracy import SourceAccuracy

__all__ = [
    "BNM",
    "DEV",
    "SND",
    "Entropy",
    "Evidence",
    "InformationMaximization",
    "SourceAccuracy",
    "Validator",
]
