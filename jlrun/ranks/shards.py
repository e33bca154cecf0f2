"""Shards: parameters of which each rank holds a part, gathered where they are computed with.

PyTorch's `fully_shard` (FSDP2) keeps parameters as `DTensor`: it gathers those of a unit before the
unit's forward and backward pass, and averages gradients over the ranks on the way back, each to the
rank that holds the part. Every rank must pass through every unit in every step.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn

from jlrun.ranks.world import World

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_shard(x: object) -> TypeGuard[DTensor]:
    """Return whether each rank has a part of ``x``. Imports nothing: where it is one, it is."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(x, module.DTensor)


def shard(
    units: Sequence[nn.Module],
    world: World,
    device: torch.device,
    compute_dtype: torch.dtype | None = None,
    offload: bool = False,
) -> None:
    """Divide the parameters of modules over the ranks, in place, and move them to the device.

    Numbers without a dimension stay whole on every rank.

    Args:
        units: whose parameters are gathered together, inner ones before the outer one, which is
            last and contains all others.
        world: of several ranks, whose parameters are equal.
        device: that computes.
        compute_dtype: in which gathered parameters are; gradients are added up in float32. None:
            as they are.
        offload: keep shards, their gradients and what the optimizer remembers on the CPU.
    """
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if compute_dtype is not None:
        policy = MixedPrecisionPolicy(compute_dtype, torch.float32, cast_forward_inputs=False)
    options: dict[str, Any] = {"offload_policy": CPUOffloadPolicy()} if offload else {}
    for unit in units:
        fully_shard(
            unit,
            mesh=_mesh(getattr(world, "group", None), device.type),
            # Outside of a pass all parameters are shards: penalties and checkpoints read them.
            reshard_after_forward=True,
            mp_policy=policy,
            ignored_params={p for p in unit.parameters() if p.ndim == 0},
            **options,
        )


@lru_cache
def _mesh(group: Any, device_type: str) -> Any:
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh

    group = dist.group.WORLD if group is None else group
    assert group is not None, "ranks have joined"
    return DeviceMesh.from_group(group, device_type)


def whole(x: Any) -> Any:
    """Return nested values with whole tensors on the CPU in the place of shards.

    All ranks must call it, of the same values.
    """
    if is_shard(x):
        with torch.no_grad():
            return _gathered(x.detach()).cpu()
    if isinstance(x, Mapping):
        return {name: whole(value) for name, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)(whole(value) for value in x)
    return x


def placed_like(x: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor as ``other`` is: this rank's part of it, or on its device."""
    if not is_shard(other) or is_shard(x):
        return x.to(other.device)
    parts, mesh = x.chunk(other.device_mesh.size(), dim=0), other.device_mesh
    rank = mesh.get_local_rank()
    own = parts[rank] if rank < len(parts) else x[:0]
    return joined_to_shard(own.to(other.device).contiguous(), other)


def joined_to_shard(own: Tensor, other: DTensor) -> DTensor:
    """Return the shard whose part on this rank is ``own``; it is divided as ``other`` is."""
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        own,
        other.device_mesh,
        other.placements,
        run_check=False,
        shape=other.shape,
        stride=other.stride(),
    )


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load whole tensors, or shards, into a model that may be sharded."""
    own = model.state_dict()
    placed = {
        name: placed_like(tensor, own[name]) if name in own else tensor
        for name, tensor in tensors.items()
    }
    model.load_state_dict(placed)


def scalar_of_all(x: Tensor) -> Tensor:
    """Return a scalar that was computed of shards, the same on all ranks, with its gradient."""
    return _gathered(x) if is_shard(x) else x


def _gathered(x: Any) -> Tensor:
    # Shards that are kept on the CPU travel by the device.
    return x.to(x.device_mesh.device_type).full_tensor()


def local(x: Tensor) -> Tensor:
    """Return this rank's part of ``x``, which shares its memory; ``x`` where it is whole."""
    return x.to_local() if is_shard(x) else x


def total_norm(gradients: Sequence[Tensor], world: World, device: torch.device) -> Tensor:
    """Return the norm on ``device`` of all gradients together, of which some are shards."""
    shards = [local(g) for g in gradients if is_shard(g)]
    others = [g for g in gradients if not is_shard(g)]
    squares = [nn.utils.get_total_norm(some).to(device).square() for some in (shards, others)]
    return (world.sum(squares[0]) + squares[1]).sqrt()


def clip(gradients: Sequence[Tensor], max_norm: float, norm: Tensor) -> None:
    """Clip gradients, of which some are shards, in place, given their ``norm``."""
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in map(local, gradients):
        gradient.mul_(factor.to(gradient.device))
