"""Teacher: the model of a finished run, and what finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from jlrun.data.specs import Spec
from jlrun.models.joint_model import JointModel
from jlrun.tasks import TaskSpec


@dataclass(frozen=True)
class Teacher:
    """A trained model that others learn from.

    Attributes:
        model: in evaluation mode, without gradients.
        specs: modality -> what the model takes.
        heads: head -> its task.
    """

    model: JointModel
    specs: Mapping[str, Spec]
    heads: Mapping[str, TaskSpec]


class Teachers(Protocol):
    """Access to the models of finished runs; whoever builds a term hands it in."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        """Return modality -> what the selected model of the run in ``directory`` takes.

        Raises:
            UserError: if there is no finished run.
        """
        ...

    def load(self, directory: Path, device: torch.device) -> Teacher:
        """Return the selected model of the run in ``directory``.

        Raises:
            UserError: if there is no finished run.
        """
        ...
