"""Soft parameter sharing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.sharing.base import MakeTrunk, TrunkSharing
from jlrun.models.trunk import Encoded, Trunk
from jlrun.ranges import NonNegativeFloat


class Soft(TrunkSharing):
    """Trunk for each task, tied to the others by a penalty on their distance.

    - ``l2``: Σ ‖θ_s − θ_t‖² over pairs of tasks and all parameters; for two tasks that of Duong et
      al., "Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a Neural Network
      Parser", ACL 2015.
    - ``trace_norm``: Σ over weights of the sum of singular values of the matrix ``(T, P)`` that has
      a row for each task. "Last axis flattening" of Yang & Hospedales, "Trace Norm Regularised Deep
      Multi-Task Learning", ICLR workshop 2017. Biases and normalisation layers are left out.

    No parameter gets gradients of two tasks, so weightings of task gradients have no effect.

    Args:
        make_trunk: returns a trunk.
        tasks: their names.
        distance: the distance of trunks that is penalised.
        strength: of the penalty; 0 trains independent models.
        same_start: whether all trunks start as copies of the first, so that their units
            correspond; otherwise each is initialised by itself.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        distance: Literal["l2", "trace_norm"] = "l2",
        strength: NonNegativeFloat = 0.001,
        same_start: bool = True,
    ) -> None:
        super().__init__({task: make_trunk() for task in tasks}, tasks)
        self.distance, self.strength = distance, strength
        if same_start:
            for trunk in self.trunks.values():
                trunk.load_state_dict(self.any_trunk.state_dict())

    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        return {task: cast(Trunk, self.trunks[task])(batch) for task in tasks}

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return ()

    def penalty(self) -> Tensor | None:
        if len(self.trunks) < 2 or self.strength == 0:
            return None
        of_trunks = zip(*(trunk.parameters() for trunk in self.trunks.values()), strict=True)
        stacks = [
            torch.stack([p.flatten() for p in same]) for same in of_trunks if self._ties(same)
        ]
        distance = pairwise_l2 if self.distance == "l2" else trace_norm
        return self.strength * sum(map(distance, stacks), torch.zeros(()).to(stacks[0]))

    def _ties(self, same: tuple[nn.Parameter, ...]) -> bool:
        return self.distance == "l2" or same[0].dim() >= 2


def pairwise_l2(rows: Tensor) -> Tensor:
    """Return Σ_{s<t} ‖row_s − row_t‖² of ``(T, P)``, a scalar."""
    return len(rows) * (rows - rows.mean(dim=0)).square().sum()


def trace_norm(rows: Tensor) -> Tensor:
    """Return the sum of the singular values of ``(T, P)``, a scalar.

    Its gradient is the smallest of the subgradients, which is none in directions that no row has.
    """
    u, s, vh = torch.linalg.svd(rows.detach(), full_matrices=False)
    kept = s > s[0] * max(rows.shape) * torch.finfo(s.dtype).eps
    return ((u[:, kept] @ vh[kept]) * rows).sum()
