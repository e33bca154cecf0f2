"""Accuracy where there are labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jlrun.evaluation.validators.base import Evidence, Validator, class_logits, usable


@dataclass(frozen=True)
class SourceAccuracy(Validator):
    """Share of the sources' validation rows that are classified correctly, in [0, 1].

    It knows nothing of the target, and is therefore safe against a collapse on it but blind to what
    adaptation gains.
    """

    name: ClassVar[str] = "source_accuracy"

    def score(self, evidence: Evidence) -> float:
        if not usable(evidence.source_logits):
            return float("-inf")
        predicted = class_logits(evidence.source_logits).argmax(dim=1)
        return float((predicted == evidence.source_labels).double().mean())
