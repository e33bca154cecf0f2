"""Base class of modality balancing, and the views of phases and steps that it gets."""

# M modalities, K objectives, B rows

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs, widths
from jlrun.objective.labelled_rows import num_usable
from jlrun.objective.weightings.base import Weighting

if TYPE_CHECKING:
    from jlrun.data.streams import Stream
    from jlrun.tasks.objective import Objective

TAG = "balance/"


@dataclass(frozen=True)
class BalanceStart:
    """Start of a phase, as a balance sees it.

    Attributes:
        model: with the weights that the phase starts from, on the device.
        objectives: what is learned, K.
        weighting: of the objectives.
    """

    model: JointModel
    objectives: tuple[Objective, ...]
    weighting: Weighting

    @property
    def widths(self) -> Mapping[str, int]:
        """Modality -> width D_m of its features, in the order of the model; M entries."""
        return widths(self.model)


@dataclass(frozen=True)
class MicroBatchView:
    """View of a micro-batch for a balance.

    Attributes:
        model: the model being trained.
        batches: stream -> micro-batch, on the device.
        outputs: stream -> the model's outputs on it.
        heads: stream -> the heads that are computed on it.
        scales: ``(K,)``, factors of the objectives' losses.
        counts: ``(M, K)``, `Balance.count` summed over the micro-batches of the step.
        progress: share of the phase's steps that are done.
    """

    model: JointModel
    batches: Mapping[str, Batch]
    outputs: Mapping[str, Outputs]
    heads: Mapping[str, Sequence[str]]
    scales: Tensor
    counts: Tensor
    progress: float


@dataclass(frozen=True)
class Measured:
    """Measurements of a balance on a micro-batch.

    Attributes:
        loss: a scalar that is added to the step's losses; summed over micro-batches. None: 0.
        encoder_losses: modality -> scalar whose gradient by the modality's encoder is kept
            separate (`StepDone.encoder_gradients`); all other parameters get it as that of
            ``loss``.
        seen: name -> detached sums; those of all micro-batches are added up.
    """

    loss: Tensor | None = None
    encoder_losses: Mapping[str, Tensor] = field(default_factory=dict)
    seen: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class StepDone:
    """Training step whose gradients are in ``.grad``, before clipping and the optimizer.

    Attributes:
        model: the model being trained.
        seen: name -> `Measured.seen`, added up over all micro-batches.
        counts: ``(M, K)``, as in `MicroBatchView`.
        encoder_gradients: modality -> gradient ``(N_m,)`` of `Measured.encoder_losses` by
            `jlrun.models.joint_model.encoder_parameters`.
        scale: what all gradients are multiplied with (fp16).
        progress: as in `MicroBatchView`.
    """

    model: JointModel
    seen: Mapping[str, Tensor]
    counts: Tensor
    encoder_gradients: Mapping[str, Tensor]
    scale: float
    progress: float


@dataclass(frozen=True)
class EpochView:
    """View of a phase between two epochs, for a balance.

    Attributes:
        model: the model being trained.
        objectives: what is learned, K.
        train: stream -> training stream, without the rows that are held out.
        held: stream -> rows that are held out of training for the balance (`Balance.held_out`).
        autocast: () -> the context of forward passes.
    """

    model: JointModel
    objectives: tuple[Objective, ...]
    train: Mapping[str, Stream]
    held: Mapping[str, Stream]
    autocast: Callable[[], AbstractContextManager[object]]


class Balance(nn.Module, ABC):
    """Balance of how fast modalities learn; acts in phases with two or more modalities.

    State lives in buffers and parameters, so that checkpoints hold it; parameters are trained with
    the model, without weight decay. Randomness comes from PyTorch's global generators, which are
    seeded before each step. Micro-batches must count by their rows: N micro-batches give the same
    step as one batch.

    Attributes:
        acts: whether there is anything to do in a step.
        has_encoder_losses: whether `measure` returns ``encoder_losses``.
        spans_phase: whether its effect depends on the progress of the phase.
        modalities: names of the M modalities, since `begin_phase`.
        objectives: the K objectives, since then.
    """

    acts: ClassVar[bool] = True
    has_encoder_losses: ClassVar[bool] = False
    spans_phase: ClassVar[bool] = False
    modalities: tuple[str, ...] = ()
    objectives: tuple[Objective, ...] = ()

    @classmethod
    def held_out(cls, arguments: Mapping[str, Any]) -> float:
        """Return the share of the training rows that is held out for `after_epoch`.

        Args:
            arguments: keyword -> argument of the constructor.
        """
        return 0.0

    def begin_phase(self, start: BalanceStart) -> None:
        """Build what depends on the model, before the optimizer is made; again on resume.

        Raises:
            UserError: if the method does not support the phase.
        """
        self.modalities = tuple(start.widths)
        self.objectives = start.objectives

    @property
    def task_factor(self) -> Tensor | float:
        """Factor of the objectives' losses, applied before the weighting."""
        return 1.0

    def count(self, batches: Mapping[str, Batch]) -> Tensor:
        """Return ``(M, K)``: the rows of a micro-batch over which unimodal losses are averaged."""
        return num_usable(self.objectives, self.modalities, batches)

    @abstractmethod
    def measure(self, view: MicroBatchView) -> Measured:
        """Measure a micro-batch; called after its forward pass. No state may change."""

    @abstractmethod
    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        """Change gradients of encoders and the state; return tag -> scalar for the records.

        Values that were not measured are NaN.
        """

    def after_epoch(self, view: EpochView, epoch: int) -> None:
        """Called after ``epoch`` epochs of the phase: before the first step, and then after each.

        The model may be in either mode and is left in evaluation mode, or as it was.
        """


class NoBalance(Balance):
    """No balancing."""

    acts = False

    def count(self, batches: Mapping[str, Batch]) -> Tensor:
        return torch.zeros(0, 0)

    def measure(self, view: MicroBatchView) -> Measured:
        return Measured()

    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        return {}
