"""Joint model: a body that tasks share, and a head per task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.dividing import divided
from jlrun.models.encoders.base import Encoder
from jlrun.models.heads.members import EnsembleHead
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
    """Body (encoders, fusion, and how tasks share them) and a head per task.

    Terms between modalities add spaces (`jlrun.models.joint_model`) that the features of
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

        def compute(rows: Batch) -> Outputs:
            seen = self.body(rows, names)
            return self.outputs(seen.features, seen.fused, seen.by_task)

        return divided(self, batch, compute)

    def encode(self, batch: Batch) -> Tensor:
        """Return the fused features of a batch, ``(B, D)``."""
        return divided(self, batch, lambda rows: self.body(rows, tuple(self.heads)).fused)

    def features(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return modality -> features of a batch, ``(B, D_m)``; zero where it is absent."""
        return divided(self, batch, lambda rows: self.body(rows, tuple(self.heads)).features)

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


class SharedSpace(nn.Module):
    """Projection head per modality, from its features to vectors of one width.

    It is part of the model, so that checkpoints, exports and later runs have it.

    Args:
        widths: modality -> width D_m of its features.
        hidden: units of a hidden layer of each head; 0: the heads are linear.
        out_features: width P of the space.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.heads = nn.ModuleDict(
            {m: projection(width, hidden, out_features) for m, width in widths.items()}
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that have a head, in the order of the model."""
        return tuple(self.heads)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return modality -> projections ``(B, P)``, of any length, of features ``(B, D_m)``.

        Maps ``(B, D_m, H, W)`` are averaged over positions. Modalities without features are left
        out.
        """
        return {m: head(_pooled(features[m])) for m, head in self.heads.items() if m in features}


def projection(in_features: int, hidden: int, out_features: int) -> nn.Module:
    """Return a linear map, or one hidden layer with LayerNorm and GELU before it.

    LayerNorm and not BatchNorm: a row's projection must not depend on the batch's other rows.
    """
    if hidden == 0:
        return nn.Linear(in_features, out_features, bias=False)
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.LayerNorm(hidden),
        nn.GELU(),
        nn.Linear(hidden, out_features, bias=False),
    )


def _pooled(features: Tensor) -> Tensor:
    return features if features.ndim == 2 else features.flatten(2).mean(dim=2)
