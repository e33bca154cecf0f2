"""Terms from a config, with the access to other runs that some of them need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jlrun.config.build import build
from jlrun.config.slots import TERM
from jlrun.data.specs import Spec
from jlrun.objective.terms.base import Term
from jlrun.objective.terms.transfer import Distill
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.runs.saved_model import load_teacher, read_specs


class SavedTeachers:
    """Teachers from run directories (`jlrun.objective.terms.transfer.teacher.Teachers`)."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        """Return modality -> what the selected model of the run in ``directory`` takes."""
        return read_specs(directory)

    def load(self, directory: Path, device: torch.device) -> Teacher:
        """Return the selected model of the run in ``directory``."""
        return load_teacher(directory, device)


def make_terms(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Term]:
    """Return fresh terms by name."""
    terms = {name: build(node, TERM) for name, node in nodes.items()}
    for term in terms.values():
        if isinstance(term, Distill):
            term.find_teachers_with(SavedTeachers())
    return terms
