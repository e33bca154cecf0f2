"""What an extra loss term is, and what it sees of a training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.model import Outputs


@dataclass(frozen=True)
class StepView:
    """What a term may look at in one training step.

    Attributes:
        model: the model being trained, a `jlrun.model.JointModel`.
        batches: stream -> its batch on the device.
        outputs: stream -> the model's outputs on that batch.
        progress: share of the phase's optimizer steps done, in [0, 1).
    """

    model: nn.Module
    batches: Mapping[str, Batch]
    outputs: Mapping[str, Outputs]
    progress: float


class Term(nn.Module, ABC):
    """An extra loss term R_j with its strength α_j (``weight``).

    The objective adds λ Σ_j α_j R_j to the weighted task losses. State (queues, teachers, learned
    scales) lives in buffers and parameters, so that checkpoints hold it.
    """

    weight: float

    @abstractmethod
    def forward(self, view: StepView) -> Tensor:
        """Return R_j, a scalar."""
