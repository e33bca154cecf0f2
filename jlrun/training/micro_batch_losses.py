"""Losses of a micro-batch, and where their graph is cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from jlrun.objective.balance.base import Measured
from jlrun.ranks.world import Pending
from jlrun.training.own_rows import OwnRows


@dataclass(frozen=True)
class CutGraph:
    """Cut in the graph of a micro-batch.

    Attributes:
        fused: ``(B, D)``, the end of the trunk's graph.
        leaves: of the objectives, ``(B, D)`` each: where the graphs of the losses begin.
        own: the rows that both are of.
        num_rows: of the micro-batch, of all ranks.
    """

    fused: Tensor
    leaves: tuple[Tensor, ...]
    own: OwnRows
    num_rows: int


@dataclass(frozen=True)
class MicroBatchLosses:
    """Losses of a micro-batch.  (T objectives, J terms)

    Attributes:
        sums: T scalars, sums over the micro-batch's labelled rows. They are not stacked, so that a
            backward pass can start from each alone.
        factors: ``(T,)``, the objective's scale over the number of labelled rows of the whole step.
        terms: ``(J,)``, R_j.
        penalties: scalar, the micro-batch's share of what is added to the losses: λ Σ_j α_j R_j,
            the penalty of the sharing architecture, and the loss of the balance.
        penalised: whether anything is.
        balance: what the balance of the modalities measured on the micro-batch.
        cut: where the graph was cut; None where it is whole.
        of_all: waits for the sums ``(T,)`` of all ranks, where ``sums`` have the values of this
            rank's rows.
    """

    sums: tuple[Tensor, ...]
    factors: Tensor
    terms: Tensor
    penalties: Tensor
    penalised: bool
    balance: Measured
    cut: CutGraph | None
    of_all: Pending | None = None

    @cached_property
    def values(self) -> Tensor:
        """The losses ``(T,)``: over all micro-batches they add up to the step's losses."""
        return self.stacked * self.factors

    @cached_property
    def singles(self) -> tuple[Tensor, ...]:
        """The same as T scalars, each on a graph of its own."""
        return tuple(s * f for s, f in zip(self.sums, self.factors.unbind(), strict=True))

    @cached_property
    def row_sums(self) -> Tensor:
        """The sums over labelled rows of all ranks, detached ``(T,)``."""
        return self.stacked.detach() if self.of_all is None else self.of_all()

    @cached_property
    def stacked(self) -> Tensor:
        """The sums ``(T,)``."""
        return torch.stack(self.sums) if self.sums else self.factors.new_zeros(0)

    def with_penalties(self, loss: Tensor) -> Tensor:
        """Return ``loss`` with what is added to it."""
        return loss + self.penalties if self.penalised else loss
