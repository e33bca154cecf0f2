"""Base classes of sharing architectures, from a batch to the heads, and hard sharing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.trunk import Encoded, Trunk

MakeTrunk = Callable[[], Trunk]


@dataclass(frozen=True)
class Representation:
    """Outputs of a body on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; the mean over trunks where there are several.
        fused: ``(B, D)``, the features that tasks share; the mean over tasks if they share none.
        by_task: task -> ``(B, out_features)``, input of its head.
    """

    features: Mapping[str, Tensor]
    fused: Tensor
    by_task: Mapping[str, Tensor]


@dataclass(frozen=True)
class Cut:
    """Graph that was cut at the shared features.

    Attributes:
        leaves: task -> the leaf ``(B, D)`` its loss flows to; tasks may have the same one.
        by_task: task -> ``(B, out_features)``, input of its head.
    """

    leaves: Mapping[str, Tensor]
    by_task: Mapping[str, Tensor]


class Sharing(nn.Module, ABC):
    """Body of a model: everything below the heads, and how tasks share it.

    Constructors take ``make_trunk``, which returns another freshly initialised trunk at each call,
    and ``tasks``, the names of the T tasks (of heads), first, then what the config may set.
    ``out_features`` is the width of a head's input. One that works ``between_stages`` of the
    encoders, which end in pooled features, has no tokens for a fusion. One that ``spans_phase``
    depends on the progress of the phase: one that has begun can't be extended.
    """

    out_features: int
    between_stages: ClassVar[bool] = False
    spans_phase: ClassVar[bool] = False

    @abstractmethod
    def forward(self, batch: Batch, tasks: Collection[str]) -> Representation:
        """Return the inputs of the heads of ``tasks``; others need not be computed."""

    @abstractmethod
    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters by which task gradients are taken: those that more than one task trains.

        All others, heads included, follow ``head_grad`` of the weighting. So do those above the
        cut of a `FeatureSharing`, even where several tasks train them (experts).
        """

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        """Return a head, made of ``make_head(width)``."""
        return make_head(self.out_features)

    def begin_step(self, progress: float) -> None:
        """Called before each training step; ``progress`` is the share of the phase that is done."""

    def penalty(self) -> Tensor | None:
        """Return a scalar that training adds to the losses; None where there is none."""
        return None


class FeatureSharing(Sharing, ABC):
    """One trunk, and features of each task computed from its fused features ``(B, D)``.

    Here the graph can be cut at the fused features: the gradients of all tasks with respect to them
    cost no pass through the trunk. Modules above the cut, shared experts too, then get the
    gradient of Σ L_i, or of Σ w_i L_i, as heads do. Where gradients are of the parameters, shared
    experts are among the shared ones.

    Args:
        make_trunk: returns a freshly initialised trunk.
        tasks: names of the T tasks.
    """

    def __init__(self, make_trunk: MakeTrunk, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.trunk = make_trunk()
        self.out_features = self.trunk.out_features

    @abstractmethod
    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        """Return task -> ``(B, out_features)``, input of its head, of the features ``(B, D)``."""

    def forward(self, batch: Batch, tasks: Collection[str]) -> Representation:
        encoded = self.trunk(batch)
        by_task = self.distribute(encoded.fused, tasks)
        missing = set(tasks).difference(by_task)
        if missing:
            name = type(self).__name__
            raise UserError.of("sharing", f"{name} returned no features for {sorted(missing)}")
        return Representation(encoded.features, encoded.fused, by_task)

    def cut(self, fused: Tensor, tasks: Collection[str]) -> Cut:
        """Return what `distribute` does, on a leaf in the place of ``fused``."""
        leaf = fused.detach().requires_grad_()
        return Cut(dict.fromkeys(tasks, leaf), self.distribute(leaf, tasks))

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return self.trunk.parameters()


class TrunkSharing(Sharing, ABC):
    """Each task has its own fused features, from one trunk or several of one kind.

    There are no features that all tasks have in common: task gradients are those of the shared
    parameters.

    Args:
        trunks: name -> trunk.
        tasks: names of the T tasks.
    """

    def __init__(self, trunks: Mapping[str, Trunk], tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.trunks = nn.ModuleDict(trunks)
        self.out_features = self.any_trunk.out_features

    @property
    def any_trunk(self) -> Trunk:
        """One of the trunks, for properties that all have in common."""
        return cast(Trunk, next(iter(self.trunks.values())))

    @abstractmethod
    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        """Return the features of each of ``tasks`` on the batch."""

    def forward(self, batch: Batch, tasks: Collection[str]) -> Representation:
        by_task = self.encode(batch, tasks)
        parts = list(by_task.values())
        features = {m: _mean([part.features[m] for part in parts]) for m in parts[0].features}
        fused = _mean([part.fused for part in parts])
        return Representation(features, fused, {t: part.fused for t, part in by_task.items()})

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        return self.any_trunk.fusion.build_head(make_head)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tuple(tensors)).mean(dim=0)


def leaf_for_each(fused: Tensor, tasks: Collection[str]) -> Cut:
    """Return a cut at ``fused`` with a leaf for each task, where all tasks see the same features.

    One backward pass of the sum of the losses then yields all task gradients.
    """
    leaves = {task: fused.detach().requires_grad_() for task in tasks}
    return Cut(leaves, leaves)


class Hard(FeatureSharing):
    """All heads see the same features.

    Caruana, "Multitask Learning", Machine Learning 28, 1997.
    """

    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        return dict.fromkeys(tasks, fused)

    def cut(self, fused: Tensor, tasks: Collection[str]) -> Cut:
        return leaf_for_each(fused, tasks)

    def build_head(self, make_head: Callable[[int], nn.Module]) -> nn.Module:
        return self.trunk.fusion.build_head(make_head)
