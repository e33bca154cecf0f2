"""Updates of shards: an optimizer steps on this rank's parts, as plain tensors.

Not all kernels of optimizers take PyTorch's `DTensor`, and none takes it together with whole
parameters. An update of an element that depends on that element alone needs nothing of other ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from jlrun.ranks.shards import is_shard, joined_to_shard, local, placed_like

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@contextmanager
def own_parts(optimizer: Optimizer) -> Iterator[None]:
    """Let groups have this rank's parts of their shards, which share memory and state with them."""
    groups = optimizer.param_groups
    shards = [p for group in groups for p in group["params"] if is_shard(p)]
    if not shards:
        yield
        return
    parts = {id(shard): _part(shard) for shard in shards}
    for shard in shards:
        if shard in optimizer.state:
            optimizer.state[parts[id(shard)]] = optimizer.state.pop(shard)
    optimizer.param_groups = [
        {**group, "params": [parts.get(id(p), p) for p in group["params"]]} for group in groups
    ]
    try:
        yield
    finally:
        optimizer.param_groups = groups
        for shard in shards:
            part = parts[id(shard)]
            if part in optimizer.state:
                optimizer.state[shard] = optimizer.state.pop(part)


def _part(shard: DTensor) -> Tensor:
    part = local(shard).detach()
    part.grad = None if shard.grad is None else local(shard.grad)
    return part


def sharded_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer, in which what it remembers of each element is a shard."""
    found = optimizer.state_dict()
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    state = dict(found["state"])
    for number, parameter in enumerate(parameters):
        if is_shard(parameter) and number in state:
            state[number] = {
                name: joined_to_shard(value, parameter) if _is_part(value, parameter) else value
                for name, value in state[number].items()
            }
    return {**found, "state": state}


def keep_own_parts(optimizer: Optimizer) -> None:
    """Keep this rank's parts of what was loaded for shards, whole."""
    for parameter, values in optimizer.state.items():
        if is_shard(parameter):
            for name, value in values.items():
                if isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape:
                    values[name] = local(placed_like(value, parameter)).clone()


def _is_part(value: Any, shard: DTensor) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape == local(shard).shape
