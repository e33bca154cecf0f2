"""Hard parameter sharing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from torch import Tensor, nn

from jlrun.models.sharing.base import Cut, FeatureSharing


class Hard(FeatureSharing):
    """All heads see the same features.

    Caruana, "Multitask Learning", Machine Learning 28, 1997.
    """

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        return dict.fromkeys(tasks, fused)

    def cut(self, fused: Tensor, tasks: Collection[str]) -> Cut:
        # A leaf for each task: one backward pass of the sum then yields all task gradients.
        leaves = {task: fused.detach().requires_grad_() for task in tasks}
        return Cut(leaves, leaves)

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        return self.trunk.fusion.build_head(make_head)
