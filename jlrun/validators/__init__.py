"""Unsupervised validators: scores of a model on a target without labels."""

from jlrun.validators.base import Evidence, Validator
from jlrun.validators.bnm import BNM
from jlrun.validators.dev import DEV
from jlrun.validators.entropy import Entropy
from jlrun.validators.information_maximization import InformationMaximization
from jlrun.validators.snd import SND
from jlrun.validators.source_accuracy import SourceAccuracy

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
