"""Steps of optimizers: PyTorch's own kernels, without what serves `torch.compile` alone.

A step imports `torch._dynamo`, which takes a second or two and which nothing here needs. Where
PyTorch does not work as it does today, all this is left out and nothing changes but the time.

Adam, AdamW and SGD update in one pass over each parameter (*fused*) where the device can; the
others in a pass for each operation over all small parameters (*foreach*). Fused kernels round in
another order than PyTorch's plain loop, but always in the same one: a checkpoint holds which kernel
a run has, so that one that goes on has the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from jlrun.ranks.shard_updates import keep_own_parts, own_parts

# Elements up to which all parameters are updated kernel by kernel and not one by one: beyond it
# they no longer lie in the cache between two kernels.
MAX_TOGETHER = 2**20
# Optimizers with a fused kernel, on a CPU as on CUDA.
FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
_ONE = torch.ones((), dtype=torch.float32, device="cpu")
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
    """Choose the kernels of PyTorch's own optimizers that update many numbers in one call.

    What a config sets itself stays, and so does the choice of PyTorch where no kernel fits.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own, fits = type(optimizer) in FUSED, all(_fits_fused(p) for p in parameters)
    small = sum(p.numel() for p in parameters) <= MAX_TOGETHER
    on_cpu = all(p.device.type == "cpu" for p in parameters)
    for group in optimizer.param_groups:
        if group.get("foreach", False) is not None or group.get("fused") is not None:
            continue
        if group.get("differentiable"):
            continue
        if own and fits and not group.get("dampening"):
            group["fused"] = True
        elif small and on_cpu:
            group["foreach"] = True


def _fits_fused(parameter: Tensor) -> bool:
    """Return whether a fused kernel can update a parameter: all of them follow the memory."""
    dense = parameter.is_contiguous() or (
        parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    )
    return dense and parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda")


def prepare_fused(optimizer: Optimizer) -> None:
    """Give fused kernels what they need; call it before each step."""
    for group in optimizer.param_groups:
        if group.get("fused"):
            _in_memory_order(group["params"])
            if group.get("momentum") and len(optimizer.state) < _num_parameters(optimizer):
                _begin_momentum(optimizer, group["params"])


def _in_memory_order(parameters: Iterable[Tensor]) -> None:
    """Give gradients the strides of their parameters.

    Fused kernels on a CPU go through memory and ignore strides: with others they would silently
    update each weight by the gradient of another. Those of a backward pass have the right ones,
    those that were put there by hand need not.
    """
    for parameter in parameters:
        grad = parameter.grad
        if grad is not None and grad.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(grad)


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an optimizer, each tensor laid out in memory as its parameter.

    A file keeps the strides of what was saved, which those of a new parameter need not be; see
    `_in_memory_order`.
    """
    optimizer.load_state_dict(state)
    keep_own_parts(optimizer)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            alike = isinstance(value, Tensor) and value.shape == parameter.shape
            if alike and value.stride() != parameter.stride():
                laid_out = torch.empty_strided(
                    value.shape, parameter.stride(), dtype=value.dtype, device=value.device
                )
                values[name] = laid_out.copy_(value)


def _begin_momentum(optimizer: Optimizer, parameters: Iterable[Tensor]) -> None:
    """Give parameters with a first gradient the momentum with which they begin, 0.

    The fused kernel of SGD fails in a step in which some have a first gradient and others had one
    before, as heads of tasks that take turns.
    """
    for parameter in parameters:
        if parameter.grad is not None and not optimizer.state[parameter]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _num_parameters(optimizer: Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def stepper(optimizer: Optimizer) -> Callable[[], Any]:
    """Return what does a step of ``optimizer``."""
    own = type(optimizer).__module__.startswith("torch.optim.")
    plain = _innermost(type(optimizer).step)
    if not own or plain is None or optimizer.defaults.get("differentiable"):
        return optimizer.step

    short = _is_short(optimizer)

    def step() -> None:
        with torch.no_grad(), own_parts(optimizer):
            prepare_fused(optimizer)
            groups = optimizer.param_groups
            joined = _joined(groups)
            if short and _step_of_adam(optimizer, joined):
                return
            optimizer.param_groups = joined
            try:
                plain(optimizer)
            finally:
                optimizer.param_groups = groups

    return step


def _kernel_of(name: str) -> Callable[..., Any]:
    return getattr(torch, f"_fused_{name}_")


def _is_short(optimizer: Optimizer) -> bool:
    """Return whether `_step_of_adam` can do the steps: of one kind of parameters, on a CPU."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kinds = {(p.device.type, p.dtype) for p in parameters}
    known = type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
    same = len(kinds) == 1 and kinds.pop()[0] == "cpu"
    return known and same and all("decoupled_weight_decay" in g for g in optimizer.param_groups)


def _step_of_adam(optimizer: Optimizer, groups: list[dict[str, Any]]) -> bool:
    """Do what `Adam.step` does with a fused kernel, and no more: what surrounds it takes longer.

    Returns:
        False if a step is not as most are, and nothing has been done: the first one, one in which a
        parameter has no gradient, or one with options that are rare.
    """
    calls = []
    for group in groups:
        parameters, lr = group["params"], group["lr"]
        gradients = [p.grad for p in parameters]
        states = [optimizer.state.get(p, {}) for p in parameters]
        rare = group["amsgrad"] or group["capturable"] or isinstance(lr, Tensor)
        if rare or not group["fused"] or not all(states) or any(g is None for g in gradients):
            return False
        columns = ([state[key] for state in states] for key in ("step", "exp_avg", "exp_avg_sq"))
        calls.append((group, parameters, gradients, *columns))
    for group, parameters, gradients, steps, means, squares in calls:
        torch._foreach_add_(steps, _ONE, alpha=1.0)  # pyright: ignore[reportPrivateImportUsage]
        kernel = _kernel_of("adamw" if group["decoupled_weight_decay"] else "adam")
        kernel(
            *(parameters, gradients, means, squares, [], steps),
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
            amsgrad=False,
            grad_scale=None,
            found_inf=None,
        )
    return True


def _joined(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with those as one that are updated together in the same way."""
    if len(groups) == 1 or not all(g.get("foreach") or g.get("fused") for g in groups):
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
