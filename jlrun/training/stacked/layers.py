"""Layers of several runs at once, and the model that is made of them.

N runs have models of one kind. Their batches of B rows each lie one after the other, as
``(N·B, ...)``. Modules without parameters treat every row by itself and are those of the first run.
A linear layer multiplies all runs' rows by all runs' weights at once. Every other module is called
with the rows of each run in turn: on a CPU that is also the fastest way through convolutions.
"""

# N runs, B rows of each

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from jlrun.models import encoders, heads
from jlrun.models.fusions import Fusion, Single
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.training.stacked.draws import Draws

# Modules that treat each row by itself, and have neither parameters nor state.
ROWWISE = (
    *(nn.Flatten, nn.Identity, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
)
# Modules that pass their rows through their children, and do nothing else that mixes rows.
TRANSPARENT = (
    *(nn.Sequential, JointModel, Hard, Trunk, Single, heads.MLP),
    *(encoders.MLP, encoders.CNN, encoders.LeNet),
)
LINEAR = (nn.Linear, heads.Linear)
# Modules that do the same with a row whatever is drawn.
WITHOUT_DRAWS = (nn.Conv1d, nn.Conv2d, nn.LayerNorm, nn.GroupNorm, nn.Embedding)


@dataclass
class Shared:
    """A parameter of all runs: one tensor, of which each run's own parameter is a view.

    Attributes:
        stacked: ``(N, ...)``, a leaf.
        own: the runs' parameters.
    """

    stacked: nn.Parameter
    own: tuple[nn.Parameter, ...]

    @classmethod
    def of(cls, own: Sequence[nn.Parameter]) -> Shared:
        """Move parameters of one shape into one tensor.

        That of a matrix is transposed in memory: its gradient, which is computed as xᵀ g, then has
        the same layout and need not be copied.
        """
        first = own[0]
        stacked = torch.stack([p.detach() for p in own])
        if first.ndim == 2:
            stacked = stacked.mT.contiguous().mT
        for parameter, view in zip(own, stacked.unbind(), strict=True):
            parameter.data = view
        return cls(nn.Parameter(stacked, requires_grad=first.requires_grad), tuple(own))


@dataclass
class Layers:
    """What a stacked model is made of.

    Attributes:
        count: N.
        draws: random numbers of each run.
        shared: the parameters that all runs have in one tensor.
        in_turn: names of the modules that are called with the rows of each run in turn.
    """

    count: int
    draws: Draws
    shared: list[Shared] = field(default_factory=list)
    in_turn: list[str] = field(default_factory=list)

    def stacked(self, modules: Sequence[nn.Module], name: str = "") -> nn.Module:
        """Return one module for those of N runs, of one kind, with the rows of all."""
        first = modules[0]
        kind = type(first)
        if kind in ROWWISE or (isinstance(first, _DropoutNd) and first.p == 0):
            return first
        if kind in LINEAR:
            return self._linear(modules)
        own = [*first.parameters(recurse=False), *first.buffers(recurse=False)]
        if kind in TRANSPARENT or (kind in (nn.ModuleList, nn.ModuleDict) and not own):
            return self._transparent(modules, name)
        self.in_turn.append(name)
        draws = None if kind in WITHOUT_DRAWS else self.draws
        return FusionInTurn(modules, draws) if isinstance(first, Fusion) else InTurn(modules, draws)

    def share(self, own: Sequence[nn.Parameter]) -> nn.Parameter:
        """Return one parameter for those of N runs, the same one for the same ones."""
        known = next((each for each in self.shared if each.own[0] is own[0]), None)
        if known is None:
            known = Shared.of(own)
            self.shared.append(known)
        return known.stacked

    def _linear(self, layers: Sequence[nn.Module]) -> StackedLinear:
        each = [dict(layer.named_parameters(recurse=False)) for layer in layers]
        weight = self.share([own["weight"] for own in each])
        bias = self.share([own["bias"] for own in each]) if "bias" in each[0] else None
        return StackedLinear(weight, bias)

    def _transparent(self, modules: Sequence[nn.Module], name: str) -> nn.Module:
        found = copy(modules[0])
        found._modules = {
            child: self.stacked(
                [module.get_submodule(child) for module in modules],
                f"{name}.{child}".removeprefix("."),
            )
            for child, module in modules[0]._modules.items()
            if module is not None
        }
        return found


class StackedLinear(nn.Module):
    """Linear layers of N runs: rows ``(N·B, ..., D)`` -> ``(N·B, ..., K)``.

    Args:
        weight: ``(N, K, D)``.
        bias: ``(N, K)``, or None.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self._count, self._width, _ = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(self._count, -1, x.shape[-1])
        if self.bias is None:
            found = torch.bmm(rows, self.weight.mT)
        else:
            found = torch.baddbmm(self.bias[:, None], rows, self.weight.mT)
        return found.view(*x.shape[:-1], self._width)


class _Each(nn.Module):
    """Modules of N runs, each called for its run.

    Args:
        modules: the runs' own.
        draws: where the modules may draw random numbers, those of the runs; None: they don't.
    """

    def __init__(self, modules: Sequence[nn.Module], draws: Draws | None) -> None:
        super().__init__()
        self._each = tuple(modules)  # not registered: they belong to the runs
        self._draws = draws
        self.out_features = getattr(modules[0], "out_features", None)

    def call(self, arguments: Sequence[tuple[Any, ...]]) -> Tensor:
        """Return what the modules return for the arguments of each, one after the other."""
        found = []
        for number, (module, own) in enumerate(zip(self._each, arguments, strict=True)):
            with nullcontext() if self._draws is None else self._draws.of(number):
                found.append(module(*own))
        return torch.cat(found)


class InTurn(_Each):
    """Modules of N runs, each called with the rows of its run."""

    def forward(self, x: Tensor) -> Tensor:
        return self.call([(own,) for own in x.unflatten(0, (len(self._each), -1)).unbind()])


class FusionInTurn(_Each):
    """Fusions of N runs, each called with the features of its run."""

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        count = len(self._each)
        return self.call(list(zip(divided(features, count), divided(present, count), strict=True)))


def divided(columns: Mapping[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """Return for each run its rows of columns ``(N·B, ...)``."""
    split = {name: x.unflatten(0, (count, -1)).unbind() for name, x in columns.items()}
    return [{name: rows[i] for name, rows in split.items()} for i in range(count)]
