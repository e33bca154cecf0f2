"""What an extra loss term is, and what it sees of a training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.model import Outputs
from jlrun.tasks import Task


@dataclass(frozen=True)
class StepView:
    """What a term may look at in one training step.

    Attributes:
        model: the model being trained, a `jlrun.model.JointModel`.
        batches: stream -> its batch on the device.
        outputs: stream -> the model's outputs on that batch.
        progress: share of the phase's optimizer steps done, in [0, 1).
        tasks: head -> the kind of its task.
    """

    model: nn.Module
    batches: Mapping[str, Batch]
    outputs: Mapping[str, Outputs]
    progress: float
    tasks: Mapping[str, Task] = field(default_factory=dict)


class Term(nn.Module, ABC):
    """An extra loss term R_j with its strength α_j (``weight``).

    The objective adds λ Σ_j α_j R_j to the weighted task losses. State (queues, teachers, learned
    scales) lives in buffers and parameters, so that checkpoints hold it.
    """

    weight: float

    @abstractmethod
    def forward(self, view: StepView) -> Tensor:
        """Return R_j, a scalar."""

    def check(self, model: nn.Module) -> None:
        """Check that the term suits the run's main model.

        Baselines are models with fewer heads or encoders: on them a term that finds nothing it is
        about is 0 instead.

        Raises:
            UserError: if a name or pattern of the term matches nothing of ``model``.
        """
