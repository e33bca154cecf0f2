"""Gates that select k of n experts, differentiably."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil, log2
from typing import Literal, cast

import torch
from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing, MakeTrunk
from jlrun.models.sharing.mmoe import Experts, mix, summary
from jlrun.ranges import NonNegativeFloat, PositiveFloat, PositiveInt

# n experts, k selectors of one expert each, m = ⌈log2 n⌉ bits of an expert's number,
# z binary codes before the smooth step S, α scores of the selectors, r what a selector selects

TINY = 1e-6


class DSelectK(FeatureSharing):
    """All tasks have the same experts, and each a gate that learns to use at most k of them.

    Hazimeh et al., "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications
    to Multi-Task Learning", NeurIPS 2021: eqs. (3) to (5), and the entropy of section 3.2 as a
    penalty, which drives each selector to one expert. Where n is no power of two, 1 / Σ r is added
    to the entropy, as there: it keeps selectors off numbers without an expert. Differs from it in:
    experts and gates read the fused features instead of the input (of maps, gates read their mean
    over the image).

    Args:
        make_trunk: returns the trunk below the experts.
        tasks: their names.
        num_experts: n.
        num_selected: k, the most experts that a task uses in the end.
        gates: ``static`` gates are the same for all rows, ``per_example`` ones read the features.
        gamma: width of the smooth step; within it codes are not binary yet.
        entropy: strength of the penalty.
        hidden: units of each layer of an expert; the last is the width of the heads' input.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        num_experts: PositiveInt = 4,
        num_selected: PositiveInt = 2,
        gates: Literal["static", "per_example"] = "static",
        gamma: PositiveFloat = 1.0,
        entropy: NonNegativeFloat = 0.01,
        hidden: Sequence[PositiveInt] = (256,),
    ) -> None:
        super().__init__(make_trunk, tasks)
        width = self.trunk.out_features
        self.entropy = entropy
        self.experts = Experts(num_experts, width, hidden)
        reads = width if gates == "per_example" else 0
        self.gates = nn.ModuleDict(
            {task: SelectionGate(reads, num_experts, num_selected, gamma) for task in tasks}
        )
        self.out_features = self.experts.out_features
        self._selections: dict[str, list[Tensor]] = {}

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        outputs, read = self.experts(fused), summary(fused)
        by_task = {}
        for task in tasks:
            shares, selections = self.gates[task](read)
            by_task[task] = mix(shares, outputs)
            if self.training:
                self._selections.setdefault(task, []).append(selections)
        return by_task

    def begin_step(self, progress: float) -> None:
        self._selections = {}

    def penalty(self) -> Tensor | None:
        """Return the strength times Σ Ω over the tasks' gates as they were since the last call."""
        selections, self._selections = self._selections, {}
        if not selections:
            return None
        return self.entropy * torch.stack([_omega(torch.cat(r)) for r in selections.values()]).sum()

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return [*self.trunk.parameters(), *self.experts.parameters()]


class SelectionGate(nn.Module):
    """Shares q = Σ_i softmax(α)_i r(z_i) of n experts, of one task.

    Args:
        in_features: D, the width of what it reads; 0: the same for all rows.
        num_experts: n.
        num_selectors: k.
        gamma: width of the smooth step.
    """

    codes: Tensor

    def __init__(
        self, in_features: int, num_experts: int, num_selectors: int, gamma: float
    ) -> None:
        super().__init__()
        num_bits = max(1, ceil(log2(num_experts)))
        numbers = torch.arange(num_experts)[:, None]
        bits = (numbers >> torch.arange(num_bits)) % 2
        self.register_buffer("codes", bits.bool(), persistent=False)
        self.gamma, self.shape = gamma, (num_selectors, num_bits)
        self.read_scores = self.read_codes = None
        if in_features:
            self.read_scores = nn.Linear(in_features, num_selectors, bias=False)
            self.read_codes = nn.Linear(in_features, num_selectors * num_bits, bias=False)
        else:
            self.scores = nn.Parameter(torch.zeros(num_selectors))
            near = torch.empty(self.shape).uniform_(-gamma / 100, gamma / 100)
            self.z = nn.Parameter(near)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares ``(B, n)`` and what each selector selects, ``(B, k, n)``."""
        if self.read_scores is None or self.read_codes is None:
            alpha, z = (
                self.scores.expand(features.shape[0], -1),
                self.z.expand(features.shape[0], -1, -1),
            )
        else:
            alpha = self.read_scores(features)
            z = self.read_codes(features).unflatten(1, self.shape)
        ones = smooth_step(z.float() if z.dtype.itemsize < 4 else z, self.gamma)[:, :, None]
        selections = torch.where(self.codes, ones, 1 - ones).prod(dim=3)
        shares = (alpha.softmax(dim=1).to(selections.dtype)[:, :, None] * selections).sum(dim=1)
        return shares, selections


def smooth_step(t: Tensor, gamma: float) -> Tensor:
    """Return S(t): 0 up to -γ/2, 1 from γ/2, and a cubic between them."""
    t = t.clamp(-gamma / 2, gamma / 2)
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5


def _omega(selections: Tensor) -> Tensor:
    """Return Ω, the mean over rows of Σ over selectors, of ``(B, k, n)``."""
    entropy = -(selections * (selections + TINY).log()).sum(dim=2)
    reachable = selections.sum(dim=2)
    count = selections.shape[2]
    if count & (count - 1):
        entropy = entropy + 1 / reachable.clamp(min=TINY)
    return cast(Tensor, entropy.sum(dim=1).mean())
