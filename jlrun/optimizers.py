"""Steps of optimizers: PyTorch's own, to the last digit, without what serves `torch.compile` alone.

A step imports `torch._dynamo`, which takes a second or two and which nothing here needs. Where
PyTorch does not work as it does today, all this is left out and nothing changes but the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

# Elements up to which all parameters are updated kernel by kernel and not one by one: beyond it
# they no longer lie in the cache between two kernels.
MAX_TOGETHER = 2**20
# Keys of a group that do not matter to how its parameters are updated.
NO_MATTER = frozenset({"params", "param_names", "name", "lr_scale", "base_lr"})


def keep_out_of_compile() -> None:
    """Let optimizers be made and loaded without `torch._dynamo`, from which PyTorch hides that.

    To hide it, it imports that compiler, which takes a second or two. Where it does so in another
    way than today, nothing changes.
    """
    for name in ("add_param_group", "zero_grad", "load_state_dict", "state_dict"):
        hidden = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if hidden is not None and not hasattr(hidden, "__dynamo_disable"):
            hidden.__dynamo_disable = hidden


def update_together(optimizer: Optimizer) -> None:
    """Let small parameters on a CPU be updated together: fewer calls, the same digits.

    On other devices that is PyTorch's choice. What a config sets itself stays.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    small = sum(p.numel() for p in parameters) <= MAX_TOGETHER
    on_cpu = all(p.device.type == "cpu" for p in parameters)
    for group in optimizer.param_groups:
        unset = group.get("foreach", False) is None and not group.get("fused")
        if unset and small and on_cpu and not group.get("differentiable"):
            group["foreach"] = True


def stepper(optimizer: Optimizer) -> Callable[[], Any]:
    """Return what does a step of ``optimizer``."""
    own = type(optimizer).__module__.startswith("torch.optim.")
    plain = _innermost(type(optimizer).step)
    if not own or plain is None or optimizer.defaults.get("differentiable"):
        return optimizer.step

    def step() -> None:
        groups = optimizer.param_groups
        optimizer.param_groups = _joined(groups)
        try:
            with torch.no_grad():
                plain(optimizer)
        finally:
            optimizer.param_groups = groups

    return step


def _joined(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with those as one that are updated together in the same way."""
    if not all(group.get("foreach") for group in groups):
        return groups
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for group in groups:
        way = {key: value for key, value in group.items() if key not in NO_MATTER}
        same = next((joined for known, joined in found if known == way), None)
        if same is None:
            found.append((way, {**group, "params": list(group["params"])}))
        else:
            same["params"] += group["params"]
    return [joined for _, joined in found]


def _innermost(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what wrappers wrap; None if nothing does."""
    found = None
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        found = function = inner
    return found
