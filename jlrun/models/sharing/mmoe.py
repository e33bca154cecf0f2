"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing, MakeTrunk
from jlrun.models.sharing.experts import Experts, Gate, mix
from jlrun.ranges import PositiveInt


class MMoE(FeatureSharing):
    """All tasks have the same experts, and each a gate that mixes them for every row.

    Eqs. (5) to (7) of Ma et al., "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts", KDD 2018. Differs from it in: experts and gates read the fused
    features instead of the input (of maps, gates read their mean over the image).

    Args:
        make_trunk: returns the trunk below the experts.
        tasks: their names.
        num_experts: n.
        hidden: units of each layer of an expert; the last is the width of the heads' input.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        num_experts: PositiveInt = 4,
        hidden: Sequence[PositiveInt] = (256,),
    ) -> None:
        super().__init__(make_trunk, tasks)
        width = self.trunk.out_features
        self.experts = Experts(num_experts, width, hidden)
        self.gates = nn.ModuleDict({task: Gate(width, num_experts) for task in tasks})
        self.out_features = self.experts.out_features

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        outputs = self.experts(fused)
        return {task: mix(self.gates[task](fused), outputs) for task in tasks}

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return [*self.trunk.parameters(), *self.experts.parameters()]
