"""Learning to branch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.sharing.base import MakeTrunk, TrunkSharing
from jlrun.models.trunk import Encoded, Trunk
from jlrun.ranges import Fraction, PositiveFloat, PositiveInt


class LTB(TrunkSharing):
    """K branches of each stage; a branch's parent in the stage below is learned.

    Guo, Lee & Ulbricht, "Learning to Branch for Multi-Task Learning", ICML 2020: every branch draws
    its parent among those of the stage below by a Gumbel-softmax whose temperature falls, and so
    does every task among the K results; at first all parents are averaged. Evaluation follows the
    most likely parents: a tree, of which only what the tasks need is computed. Differs from it in:
    draws are of one parent, with the gradient of the soft choice, from the start (in place of a
    choice of the tree after a phase of search), and the temperature falls geometrically.

    Stages are those of the encoders, each branch with its own fusion after them. Until it has
    learned, branch k grows from branch k, and task t takes branch t mod K.

    Args:
        make_trunk: returns a trunk.
        tasks: their names.
        branches: K; null: one for each task.
        warmup: share of the phase in which parents are averaged.
        start_temperature, end_temperature: of the draws at the start and the end of the phase.
    """

    between_stages = True
    spans_phase = True  # warm-up and temperature follow its progress

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        branches: PositiveInt | None = None,
        warmup: Fraction = 0.05,
        start_temperature: PositiveFloat = 5.0,
        end_temperature: PositiveFloat = 0.5,
    ) -> None:
        count = len(tasks) if branches is None else branches
        super().__init__({f"branch{k}": make_trunk() for k in range(count)}, tasks)
        trunk = self.any_trunk
        self.warmup = warmup
        self.temperatures = (start_temperature, end_temperature)
        self.parents = nn.ModuleDict()
        for modality in trunk.encoders:
            later = trunk.stages(modality)[1:]
            self.parents[modality] = nn.ModuleList(Choice(count, count) for _ in later)
        self.ends = Choice(len(tasks), count)
        self.begin_step(0.0)

    def begin_step(self, progress: float) -> None:
        start, end = self.temperatures
        self.temperature = None if progress < self.warmup else start * (end / start) ** progress

    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        ends = self.ends.draw(self.temperature)
        wanted = [self.tasks.index(task) for task in tasks]
        branches = self._needed(ends[wanted])
        grown = self.any_trunk.of_each_modality(batch, lambda m, x: self._grow(m, x, branches))
        joined = {
            k: self._branch(k).join({m: x[k] for m, x in grown.items()}, batch) for k in branches
        }
        return {task: self._chosen(ends[t], joined) for task, t in zip(tasks, wanted, strict=True)}

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return self.parameters()

    def _branch(self, number: int) -> Trunk:
        return cast(Trunk, self.trunks[f"branch{number}"])

    def _grow(self, modality: str, x: Tensor, ends: Collection[int]) -> Mapping[int, Tensor]:
        """Return branch -> features ``(B_m, D_m)``, of the branches ``ends`` of the last stage."""
        choices = cast(Sequence[Choice], self.parents[modality])
        shares = [choice.draw(self.temperature) for choice in choices]
        needed = [ends]
        for share in reversed(shares):
            needed.insert(0, self._needed(share[list(needed[0])]))
        stages = {k: self._branch(k).stages(modality) for k in range(len(self.trunks))}
        nodes = {k: stages[k][0].run(x) for k in needed[0]}
        for depth, share in enumerate(shares, start=1):
            nodes = {k: stages[k][depth].run(self._mixed(share[k], nodes)) for k in needed[depth]}
        return nodes

    def _mixed(self, shares: Tensor, nodes: Mapping[int, Tensor]) -> Tensor:
        """Return Σ_k share_k x_k of shares ``(K,)`` and branch -> x."""
        if not self.training:
            return nodes[int(shares.argmax())]
        x = torch.stack(tuple(nodes.values()))
        return torch.einsum("k,k...->...", shares.to(x.dtype), x)

    def _chosen(self, shares: Tensor, joined: Mapping[int, Encoded]) -> Encoded:
        features = {
            m: self._mixed(shares, {k: part.features[m] for k, part in joined.items()})
            for m in self.parents
        }
        return Encoded(features, self._mixed(shares, {k: p.fused for k, p in joined.items()}))

    def _needed(self, shares: Tensor) -> Collection[int]:
        """Return the parents with a share ``(N, K)``: all in training, where all learn."""
        if self.training:
            return range(shares.shape[1])
        return sorted(set(shares.argmax(dim=1).tolist()))


class Choice(nn.Module):
    """N children choose among K parents.

    Args:
        children: N.
        parents: K.
    """

    def __init__(self, children: int, parents: int) -> None:
        super().__init__()
        # Equal chances, with a tiny margin that defines the most likely parent.
        own = torch.arange(children)[:, None] % parents == torch.arange(parents)
        self.logits = nn.Parameter(own * 1e-3)

    def draw(self, temperature: float | None) -> Tensor:
        """Return the shares ``(N, K)`` of the parents: in training one of them, with the gradient
        of the soft choice; without a temperature equal ones; in evaluation the most likely one."""
        if not self.training:
            return _one_hot(self.logits)
        if temperature is None:
            return self.logits * 0 + 1 / self.logits.shape[1]
        # On the CPU, whose generator is seeded before every step.
        noise = -torch.empty(self.logits.shape).exponential_().log()
        soft = ((self.logits + noise.to(self.logits)) / temperature).softmax(dim=1)
        return _one_hot(soft) - soft.detach() + soft


def _one_hot(scores: Tensor) -> Tensor:
    return torch.zeros_like(scores).scatter_(1, scores.argmax(dim=1, keepdim=True), 1.0)
