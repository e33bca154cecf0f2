"""Shared experts and experts of each task, in one level (CGC) or several (PLE)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing, MakeTrunk
from jlrun.models.sharing.mmoe import Experts, Gate, mix
from jlrun.ranges import PositiveInt


class PLE(FeatureSharing):
    """Levels of experts: each task mixes its own and the shared ones, level by level.

    Progressive layered extraction, eqs. (6) to (8) of Tang et al., "Progressive Layered Extraction
    (PLE): A Novel Multi-Task Learning Model for Personalized Recommendations", RecSys 2020: below
    the last level, a shared gate mixes the experts of all tasks and the shared ones for the shared
    experts of the next. Differs from it in: the lowest level reads the fused features instead of
    the input (of maps, gates read the mean over the image).

    Args:
        make_trunk: returns the trunk below the experts.
        tasks: their names.
        levels: of experts; 1 is CGC.
        shared_experts: of each level.
        task_experts: of each task, in each level.
        hidden: units of each layer of an expert; the last is the width of the heads' input.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        levels: PositiveInt = 2,
        shared_experts: PositiveInt = 2,
        task_experts: PositiveInt = 2,
        hidden: Sequence[PositiveInt] = (256,),
    ) -> None:
        super().__init__(make_trunk, tasks)
        self.levels = nn.ModuleList()
        for number in range(levels):
            level = ExpertLevel(
                self.out_features,
                tasks,
                num_shared=shared_experts,
                num_own=task_experts,
                hidden=hidden,
                last=number == levels - 1,
            )
            self.levels.append(level)
            self.out_features = level.out_features

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        *lower, last = cast(Sequence[ExpertLevel], self.levels)
        shared, own = fused, dict.fromkeys(self.tasks, fused)
        for level in lower:
            shared, own = level(shared, own)
        return last(shared, {task: own[task] for task in tasks})[1]

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Includes what a task's losses reach through shared experts of a higher level."""
        yield from self.trunk.parameters()
        levels = cast(Sequence[ExpertLevel], self.levels)
        for above, level in zip(range(len(levels) - 1, -1, -1), levels, strict=True):
            yield from level.shared.parameters()
            if level.shared_gate is not None:
                yield from level.shared_gate.parameters()
            if above >= 1:
                yield from level.own.parameters()
            if above >= 2:
                yield from level.gates.parameters()


class ExpertLevel(nn.Module):
    """One level of experts and gates.

    Args:
        in_features: D, the width of the input of experts and gates.
        tasks: their names.
        num_shared, num_own: experts of all tasks, and of each.
        hidden: units of each layer of an expert.
        last: whether it is the last level, which needs no shared gate.
    """

    def __init__(
        self,
        in_features: int,
        tasks: tuple[str, ...],
        *,
        num_shared: int,
        num_own: int,
        hidden: Sequence[int],
        last: bool,
    ) -> None:
        super().__init__()
        self.shared = Experts(num_shared, in_features, hidden)
        self.own = nn.ModuleDict({t: Experts(num_own, in_features, hidden) for t in tasks})
        self.gates = nn.ModuleDict({t: Gate(in_features, num_own + num_shared) for t in tasks})
        total = len(tasks) * num_own + num_shared
        self.shared_gate = None if last else Gate(in_features, total)
        self.out_features = self.shared.out_features

    def forward(
        self, shared: Tensor, own: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the inputs of the shared experts, and of the tasks of ``own``, for the next level.

        Args:
            shared: ``(B, D)``, input of the shared experts.
            own: task -> ``(B, D)``, input of its experts; all tasks, unless it is the last level.
        """
        of_all = self.shared(shared)
        of_task = {task: self.own[task](x) for task, x in own.items()}
        mixed = {
            task: mix(self.gates[task](x), torch.cat([of_task[task], of_all]))
            for task, x in own.items()
        }
        if self.shared_gate is None:
            return shared, mixed
        return mix(self.shared_gate(shared), torch.cat([*of_task.values(), of_all])), mixed
