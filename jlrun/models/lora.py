"""LoRA: low-rank adapters in the layers of a model, which can be merged into its weights."""

# W weight (outputs, everything else) as a matrix, A (r, everything else), B (outputs, r)

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from jlrun.errors import UserError

NAMES = ("lora_a", "lora_b")
WEIGHT_NAMES = ("weight", "in_proj_weight")  # of layers with adapters


def add_lora(
    model: nn.Module,
    rank: int = 16,
    alpha: float = 32.0,
    pattern: str = r"^body\.",
    dropout: float = 0.0,
    where: str = "lora",
) -> tuple[str, ...]:
    """Give layers of ``model`` weights W + (α / r) B A; outputs are as before, since B is zero.

    Eq. (3) of Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. Differs
    from it in: convolutions have adapters too, of their weights as matrices (outputs, everything
    else), and so does the input projection of ``nn.MultiheadAttention``, as one matrix. A starts as
    linear layers do, Kaiming-uniform.

    W keeps its name and stays a parameter; the adapters are ``….lora_a`` and ``….lora_b`` next to
    it. Nothing is frozen here: the caller chooses the parameters that train, see
    `is_lora_parameter`. Left alone are layers of other types, subclasses included, weights that
    several layers share, and, but for the output projection, attention with keys or values of
    another width.

    Args:
        model: changed in place.
        rank: r; at most the smaller side of the matrix, of layers that have less.
        alpha: α; the factor is α / r with the r asked for, also where a layer has less.
        pattern: regular expression, searched in the names of weights.
        dropout: share of an adapter's inputs that is dropped in training; attention
            layers have none.
        where: config path, for errors.

    Returns:
        names of the weights that have adapters now.

    Raises:
        UserError: if no layer's weight matches, or a number is out of range.
    """
    _check(rank, dropout, pattern, where)
    layers = list(_adaptable(model))
    chosen = [layer for layer in layers if re.search(pattern, layer[0])]
    if not chosen:
        raise _no_match([name for name, _, _ in layers], pattern, where)
    for _, module, weight in chosen:
        module.__class__ = _ADAPTED[type(module)]
        cast(_Adapted, module).adapt(weight, rank, alpha / rank, dropout)
    return tuple(name for name, _, _ in chosen)


def merge_lora(model: nn.Module) -> tuple[str, ...]:
    """Fold all adapters of ``model`` into its weights; layers are then as without adapters.

    Args:
        model: changed in place; its outputs are not, but for dropout and rounding.

    Returns:
        names of the weights that had adapters.
    """
    merged = []
    for prefix, module in model.named_modules():
        if isinstance(module, _Adapted):
            name = module.weight_name
            with torch.no_grad():
                module.plain_weight().copy_(module.merged_weight())
            for extra in NAMES:
                del module._parameters[extra]
            del module.lora_scale, module.lora_dropout
            cast(nn.Module, module).__class__ = _PLAIN[type(module)]
            merged.append(f"{prefix}.{name}".lstrip("."))
    return tuple(merged)


def low_rank_change(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Return (α / r) B A, ``(outputs, everything else)``."""
    return scale * (b @ a)


def is_lora_parameter(name: str) -> bool:
    """Whether ``name`` is that of an adapter's parameter."""
    return name.rpartition(".")[2] in NAMES


class _Adapted(nn.Module):
    """Mixin of adapted layers: the attribute ``weight`` is W + (α / r) B A.

    The parameter W keeps its place. Layers read the weight as an attribute, and so do the fast
    paths of attention, which bypass the ``forward`` of inner layers; hence the attribute changes.
    """

    weight_name = "weight"
    lora_a: Tensor
    lora_b: Tensor
    lora_scale: float
    lora_dropout: float

    def adapt(self, weight: Tensor, rank: int, scale: float, dropout: float) -> None:
        """Add the parameters; ``weight`` is W."""
        rows, columns = weight.shape[0], weight.shape[1:].numel()
        rank = min(rank, rows, columns)
        self.lora_a = nn.Parameter(weight.new_empty(rank, columns))
        self.lora_b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.lora_scale, self.lora_dropout = scale, dropout

    def change(self) -> Tensor:
        """Return (α / r) B A in the shape of W, in no less than float32."""
        weight = self.plain_weight()
        with torch.autocast(weight.device.type, enabled=False):
            dtype = torch.promote_types(weight.dtype, torch.float32)
            a, b = self.lora_a.to(dtype), self.lora_b.to(dtype)
            change = low_rank_change(a, b, self.lora_scale)
        return change.view(weight.shape)

    def plain_weight(self) -> Tensor:
        """Return W."""
        weight = self._parameters[self.weight_name]
        assert weight is not None
        return weight

    def adapted_weight(self) -> Tensor:
        """Return W + (α / r) B A, in the type of W."""
        return _sum(self.plain_weight(), self.change())

    def merged_weight(self) -> Tensor:
        """Return W + (α / r) B A, computed in float64 on the CPU and rounded once."""
        weight = self.plain_weight()
        a, b, w = (t.detach().cpu().double() for t in (self.lora_a, self.lora_b, weight))
        return (w + low_rank_change(a, b, self.lora_scale).view(w.shape)).to(weight)

    def rounded_change(self) -> Tensor:
        """Return (α / r) B A, in the type of W."""
        return self.change().to(self.plain_weight().dtype)

    @property
    def drops(self) -> bool:
        """Whether the adapter has other inputs than W."""
        return self.training and self.lora_dropout > 0

    def dropped(self, x: Tensor) -> Tensor:
        """Return the adapter's inputs, after dropout."""
        return nn.functional.dropout(x, self.lora_dropout)


class _AdaptedWeight(_Adapted):
    weight = property(_Adapted.adapted_weight)


class LoRALinear(_AdaptedWeight, nn.Linear):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Linear layer with an adapter."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(..., outputs)`` of ``(..., inputs)``."""
        if not self.drops:
            return super().forward(input)
        plain = nn.functional.linear(input, self.plain_weight(), self.bias)
        return plain + nn.functional.linear(self.dropped(input), self.rounded_change())


class _LoRAConv(_AdaptedWeight):
    bias: Tensor | None

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, outputs, ...)`` of ``(B, inputs, ...)``."""
        convolve = cast("nn.Conv2d", self)._conv_forward
        if not self.drops:
            return convolve(input, self.adapted_weight(), self.bias)
        plain = convolve(input, self.plain_weight(), self.bias)
        return plain + convolve(self.dropped(input), self.rounded_change(), None)


class LoRAConv1d(_LoRAConv, nn.Conv1d):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Convolution with an adapter."""


class LoRAConv2d(_LoRAConv, nn.Conv2d):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Convolution with an adapter."""


class LoRAConv3d(_LoRAConv, nn.Conv3d):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Convolution with an adapter."""


class LoRAOutputProjection(_AdaptedWeight, NonDynamicallyQuantizableLinear):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Last layer of ``nn.MultiheadAttention``, which reads its weight only, with an adapter."""


class LoRAAttention(_Adapted, nn.MultiheadAttention):
    """Attention whose queries, keys and values have an adapter."""

    weight_name = "in_proj_weight"
    in_proj_weight = property(_Adapted.adapted_weight)  # pyright: ignore[reportAssignmentType]


_ADAPTED: Mapping[type[nn.Module], type[_Adapted]] = {
    nn.Linear: LoRALinear,
    nn.Conv1d: LoRAConv1d,
    nn.Conv2d: LoRAConv2d,
    nn.Conv3d: LoRAConv3d,
    NonDynamicallyQuantizableLinear: LoRAOutputProjection,
    nn.MultiheadAttention: LoRAAttention,
}
_PLAIN: Mapping[type[nn.Module], type[nn.Module]] = {new: old for old, new in _ADAPTED.items()}


def _adaptable(model: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Yield name, layer and weight of each layer that can have an adapter."""
    every = [p for module in model.modules() for p in module._parameters.values()]
    uses = Counter(map(id, every))
    for prefix, module in model.named_modules():
        adapted = _ADAPTED.get(type(module))
        weight = module._parameters.get(adapted.weight_name) if adapted else None
        if adapted is not None and weight is not None and uses[id(weight)] == 1:
            yield f"{prefix}.{adapted.weight_name}".lstrip("."), module, weight


def _sum(weight: Tensor, change: Tensor) -> Tensor:
    return (weight.to(change.dtype) + change).to(weight.dtype)


def _check(rank: int, dropout: float, pattern: str, where: str) -> None:
    if rank < 1:
        raise UserError.of(f"{where}.rank", f"{rank} is not a rank; expected 1 or more")
    if not 0 <= dropout < 1:
        raise UserError.of(f"{where}.dropout", f"{dropout:g} is not in [0, 1)")
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError.of(
            f"{where}.pattern", f"'{pattern}' is not a regular expression: {error}"
        ) from error


def _no_match(names: Sequence[str], pattern: str, where: str) -> UserError:
    if not names:
        message = "the model has no linear, convolution or attention layer without an adapter"
        return UserError.of(where, message)
    return UserError.of(
        f"{where}.pattern",
        f"'{pattern}' matches no weight of a linear, convolution or attention layer; there are "
        f"{len(names)}, such as '{names[0]}'",
    )
