"""One trunk with low-rank adapters for each task."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.sharing.base import MakeTrunk, TrunkSharing
from jlrun.models.trunk import Encoded
from jlrun.ranges import PositiveFloat, PositiveInt


class TaskLoRA(TrunkSharing):
    """Each task runs the one trunk with its own weights W + (α / r) B A.

    A is random and B zero, so that it starts as hard sharing. The adapters are those of Hu et al.,
    "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, eq. (3). Differs from it in:
    the trunk trains too, and every weight with two dimensions or more has adapters (linear layers,
    convolutions, embeddings, attention), as a matrix (outputs, everything else). The trunk is run
    once for each task.

    Args:
        make_trunk: returns the trunk.
        tasks: their names.
        rank: r; of a weight that has less, as much as it has.
        alpha: α.

    Raises:
        UserError: if the trunk has no such weight.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        rank: PositiveInt = 4,
        alpha: PositiveFloat = 4.0,
    ) -> None:
        super().__init__({"shared": make_trunk()}, tasks)
        weights = _weights(self.any_trunk)
        if not weights:
            raise UserError.of(
                "sharing",
                "TaskLoRA adapts weights of two dimensions or more, but this backbone and fusion "
                "have none; use sharing=hard",
            )
        self.adapters = nn.ModuleDict(
            {
                task: nn.ModuleList(LowRankChange(w.shape, rank, alpha) for w in weights.values())
                for task in tasks
            }
        )

    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        weights = _weights(self.any_trunk)
        encoded = {}
        for task in tasks:
            adapters = cast(nn.ModuleList, self.adapters[task])
            adapted = {
                name: weight + adapter()
                for (name, weight), adapter in zip(weights.items(), adapters, strict=True)
            }
            encoded[task] = functional_call(self.any_trunk, adapted, (batch,))
        return encoded

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return self.any_trunk.parameters()


class LowRankChange(nn.Module):
    """Change (α / r) B A of a weight.

    Args:
        shape: of the weight.
        rank: r; of A and B the full rank if that is less.
        alpha: α.
    """

    def __init__(self, shape: torch.Size, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = shape[0], shape[1:].numel()
        self.shape, self.scale = shape, alpha / rank
        rank = min(rank, rows, columns)
        self.a = nn.Parameter(torch.empty(rank, columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self) -> Tensor:
        """Return the change, of the weight's shape."""
        return (self.scale * self.b @ self.a).view(self.shape)


def _weights(trunk: nn.Module) -> dict[str, nn.Parameter]:
    return {
        name: parameter
        for name, parameter in trunk.named_parameters()
        if parameter.dim() >= 2 and name.endswith("weight")
    }
