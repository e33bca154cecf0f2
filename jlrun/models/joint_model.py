"""Joint model: a body that tasks share, and a head per task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.encoders.base import Encoder
from jlrun.models.heads.members import EnsembleHead
from jlrun.models.shared_space import SharedSpace
from jlrun.models.sharing.base import Sharing
from jlrun.models.trunk import Trunk


@dataclass(frozen=True)
class Outputs:
    """Outputs of the model on a batch.

    Attributes:
        features: modality -> ``(B, D_m)``; zero where the modality is absent.
        fused: ``(B, D)``, the features that tasks share.
        logits: head -> ``(B, outputs)``.
        members: head -> logits of each member ``(B, M, outputs)``, of heads that are ensembles.
    """

    features: Mapping[str, Tensor]
    fused: Tensor
    logits: Mapping[str, Tensor]
    members: Mapping[str, Tensor] = field(default_factory=dict)


class JointModel(nn.Module):
    """A body (encoders, fusion, and how tasks share them) and a head per task.

    Terms between modalities add spaces (`jlrun.models.shared_space`) that the features of
    modalities are projected into, in ``spaces``, by name.

    Args:
        body: from a batch to the inputs of the heads.
        heads: head name -> head on its features.
    """

    def __init__(self, body: Sharing, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.body = body
        self.heads = nn.ModuleDict(heads)
        self.spaces = nn.ModuleDict()

    def forward(self, batch: Batch, heads: Collection[str] | None = None) -> Outputs:
        """Return the outputs of the named heads (or all)."""
        names = tuple(self.heads) if heads is None else tuple(heads)
        seen = self.body(batch, names)
        return self.outputs(seen.features, seen.fused, seen.by_task)

    def encode(self, batch: Batch) -> Tensor:
        """Return the fused features of a batch, ``(B, D)``."""
        return self.body(batch, tuple(self.heads)).fused

    def features(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return modality -> features of a batch, ``(B, D_m)``; zero where it is absent."""
        return self.body(batch, tuple(self.heads)).features

    def space(self, name: str) -> SharedSpace | None:
        """Return the shared space of that name, if there is one."""
        found = dict(self.spaces.items()).get(name)
        assert found is None or isinstance(found, SharedSpace)
        return found

    def outputs(
        self, features: Mapping[str, Tensor], fused: Tensor, by_task: Mapping[str, Tensor]
    ) -> Outputs:
        """Return features with the logits of the inputs of each head."""
        heads = {name: self.heads[name] for name in by_task}
        members = {
            name: head.members(by_task[name])
            for name, head in heads.items()
            if isinstance(head, EnsembleHead)
        }
        logits = {
            name: members[name].mean(dim=1) if name in members else head(by_task[name])
            for name, head in heads.items()
        }
        return Outputs(features, fused, logits, members)

    def encoders(self) -> Iterator[Encoder]:
        """Return the encoders of all modalities, in all trunks."""
        return (module for module in self.modules() if isinstance(module, Encoder))

    def num_parameters(self, trainable: bool = False) -> int:
        """Number of parameters, or of those that are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not trainable)


def trunks(model: JointModel) -> list[Trunk]:
    """Return the trunks of a model: one, or one for each task."""
    return [module for module in model.body.modules() if isinstance(module, Trunk)]


def widths(model: JointModel) -> dict[str, int]:
    """Return modality -> width of its features, in the model's order."""
    first, *_ = trunks(model)
    return {m: cast(int, encoder.out_features) for m, encoder in first.encoders.items()}


def encoder_parameters(model: JointModel, modality: str) -> tuple[nn.Parameter, ...]:
    """Return the parameters that train of the encoders of ``modality``, in all trunks."""
    found = {
        id(parameter): parameter
        for trunk in trunks(model)
        for parameter in trunk.encoders[modality].parameters()
        if parameter.requires_grad
    }
    return tuple(found.values())
