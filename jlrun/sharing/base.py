"""What a sharing architecture is: how tasks come from one input to what each of their heads sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.trunk import Trunk

MakeTrunk = Callable[[], Trunk]


@dataclass(frozen=True)
class Representation:
    """What a body yields on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; the mean over trunks where there are several.
        fused: ``(B, D)``, what tasks have in common; the mean over tasks where they have nothing.
        by_task: task -> ``(B, out_features)``, what its head sees.
    """

    features: Mapping[str, Tensor]
    fused: Tensor
    by_task: Mapping[str, Tensor]


@dataclass(frozen=True)
class Cut:
    """A graph that was cut at the shared features.

    Attributes:
        leaves: task -> the leaf ``(B, D)`` its loss flows to; tasks may have the same one.
        by_task: task -> ``(B, out_features)``, what its head sees.
    """

    leaves: Mapping[str, Tensor]
    by_task: Mapping[str, Tensor]


class Sharing(nn.Module, ABC):
    """The body of a model: everything below the heads, and how tasks share it.

    Constructors take ``make_trunk``, which returns another freshly initialised trunk at each call,
    and ``tasks``, the names of the T tasks (of heads), first, then what the config may set.
    ``out_features`` is the width of what a head sees.
    """

    out_features: int

    @abstractmethod
    def forward(self, batch: Batch, tasks: Collection[str]) -> Representation:
        """Return what the heads of ``tasks`` see; others need not be computed."""

    @abstractmethod
    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters that more than one task trains: task gradients are taken by these.

        All others, heads included, belong to one task.
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
    """One trunk, and on its fused features ``(B, D)`` what each task makes of them.

    Here the graph can be cut at the fused features: the gradients of all tasks with respect to them
    cost no pass through the trunk.
    """

    def __init__(self, make_trunk: MakeTrunk, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.trunk = make_trunk()
        self.out_features = self.trunk.out_features

    @abstractmethod
    def distribute(self, fused: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        """Return task -> ``(B, out_features)``, what its head sees, of the features ``(B, D)``."""

    def forward(self, batch: Batch, tasks: Collection[str]) -> Representation:
        encoded = self.trunk(batch)
        by_task = self.distribute(encoded.fused, tasks)
        return Representation(encoded.features, encoded.fused, by_task)

    def cut(self, fused: Tensor, tasks: Collection[str]) -> Cut:
        """Return what `distribute` does, on a leaf in the place of ``fused``."""
        leaf = fused.detach().requires_grad_()
        return Cut(dict.fromkeys(tasks, leaf), self.distribute(leaf, tasks))

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return self.trunk.parameters()
