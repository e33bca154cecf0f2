"""Base class of extra loss terms, what they see of phases and steps, and sums of their parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import UserError, did_you_mean
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.ranks.shards import is_shard, scalar_of_all
from jlrun.tasks import Task, TaskSpec

if TYPE_CHECKING:
    from jlrun.data.streams import Stream
    from jlrun.objective.terms.transfer.teacher import Teachers


TARGET = "target"  # the stream of the target; all others of a phase are sources

# Requirements of terms on a phase, besides a model, batches and outputs:
Need = Literal[
    "learned weights",  # its first weights were learned, in an earlier phase, run or file
    "target",  # a target stream and one or more sources
    "several sources",  # two or more source streams
    "views",  # batches with augmented views of their inputs
    "several modalities",  # a model of more than one, in a phase that is to bring them together
]


@dataclass(frozen=True)
class StepView:
    """View of a training step, for terms.

    Attributes:
        model: the model being trained, a `jlrun.models.joint_model.JointModel`.
        batches: stream -> its batch on the device.
        outputs: stream -> the model's outputs on that batch; streams without tasks of their own
            are left out unless the phase asks for them (`jlrun.training.plan.Phase.observed`).
        progress: share of the phase's optimizer steps done, in [0, 1).
        tasks: head -> the kind of its task.
        columns: stream -> head -> name of its target column in the batch, for labelled tasks.
        losses: label of an objective -> its mean loss over the labelled rows, with its graph.
    """

    model: nn.Module
    batches: Mapping[str, Batch]
    outputs: Mapping[str, Outputs]
    progress: float
    tasks: Mapping[str, Task] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    losses: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Streams other than the target, of those with outputs."""
        return tuple(name for name in self.outputs if name != TARGET)

    @property
    def labelled_sources(self) -> Mapping[str, Mapping[str, str]]:
        """Head -> source stream -> target column, of the sources in the step."""
        found: dict[str, dict[str, str]] = {}
        for stream in self.sources:
            for head, column in self.columns.get(stream, {}).items():
                found.setdefault(head, {})[stream] = column
        return found


@dataclass(frozen=True)
class PhaseStart:
    """Start of a phase, as terms see it.

    Attributes:
        model: with the weights that the phase starts from, on the device.
        tasks: head -> task and classes, of all heads that the phase computes.
        observed: stream -> the heads that are computed on it.
        streams: stream -> its training stream.
        num_steps: optimizer steps of the phase.
    """

    model: JointModel
    tasks: Mapping[str, TaskSpec]
    observed: Mapping[str, Sequence[str]]
    streams: Mapping[str, Stream]
    num_steps: int

    @property
    def sources(self) -> tuple[str, ...]:
        """Streams other than the target, of those with outputs."""
        return tuple(name for name in self.observed if name != TARGET)


class Term(nn.Module, ABC):
    """Extra loss term R_j with its strength α_j (``weight``).

    The objective adds λ Σ_j α_j R_j to the weighted task losses. State (queues, teachers, learned
    scales) lives in buffers and parameters, so that checkpoints hold it; parameters that require
    gradients are trained with the model.

    What a term needs, its class states, so that it is known before any term is built.

    ``needs`` lists what a phase must have for the term to act in it; other phases leave the term
    out, and a run in which no phase has it is an error.

    ``compares_rows`` marks a term of differences between rows of a stream, which is 0 for a single
    row: a run with batches of one row is then an error.
    """

    weight: float
    needs: ClassVar[Need | None] = None
    compares_rows: ClassVar[bool] = False

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return whether the term depends on progress; a phase that has begun can't be extended.

        Args:
            arguments: keyword -> argument of the constructor.
        """
        return False

    @classmethod
    def other_modalities(cls, arguments: Mapping[str, Any], teachers: Teachers) -> Collection[str]:
        """Return the modalities that batches must have for the term, taken by the model or not.

        Args:
            arguments: keyword -> argument of the constructor.
            teachers: access to the models of finished runs.

        Raises:
            UserError: if they are unknown, as without a teacher.
        """
        return ()

    @abstractmethod
    def forward(self, view: StepView) -> Tensor:
        """Return R_j, a scalar."""

    def check(self, model: nn.Module) -> None:
        """Check that the term suits the run's main model.

        Baselines are models with fewer heads or encoders: on them a term without anything to act on
        is 0 instead.

        Raises:
            UserError: if a name or pattern of the term matches nothing of ``model``.
        """

    def begin_phase(self, start: PhaseStart) -> None:
        """Build what depends on the model: discriminators, copies of the first weights, statistics.

        Called once, before the optimizer is made. When a phase is resumed it is called with the
        weights of the checkpoint, and the term's state is restored afterwards: the names and shapes
        of parameters and buffers must not depend on the weights.

        Raises:
            UserError: if the phase lacks what the term needs, such as tasks with classes.
        """

    def after_step(self, model: nn.Module, progress: float) -> None:
        """Called after each optimizer step, for teachers that follow the model.

        ``progress`` is that of the step in `StepView`.
        """

    def before_evaluation(self, model: JointModel, streams: Mapping[str, Stream]) -> None:
        """Called in evaluation mode before the model is scored at the end of an epoch.

        What it changes in the model's buffers is scored and saved.
        """


def check_heads(model: nn.Module, heads: Sequence[str] | None) -> None:
    """Check that the model has the named heads.

    Raises:
        UserError: if it lacks one.
    """
    names = list(cast(JointModel, model).heads)
    for name in heads or ():
        if name not in names:
            raise UserError.of(
                "terms", f"tasks: the model has no head '{name}'.{did_you_mean(name, names)}"
            )


def total(values: Iterable[Tensor], view: StepView) -> Tensor:
    """Return the sum of scalars; a zero on the step's device if there are none."""
    scalars = [scalar_of_all(value) for value in values]
    return torch.stack(scalars).sum() if scalars else no_loss(view)


def no_loss(view: StepView) -> Tensor:
    """Return 0 on the step's device, for a term without rows or weights to measure."""
    # Not of a shard: the heads are whole.
    return next(p for p in view.model.parameters() if not is_shard(p)).new_zeros(())


def precise(x: Tensor) -> Tensor:
    """Return ``x`` in float32 at least: sums of squares and logarithms overflow half precision."""
    return x if x.dtype == torch.float64 else x.float()


def full_precision(x: Tensor) -> torch.autocast:
    """Return the context in which matrix products of tensors like ``x`` keep their precision."""
    return torch.autocast(x.device.type, enabled=False)
