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
from dataclasses import dataclass
from operator import is_, itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from jlrun.ranks.shard_updates import keep_own_parts, own_parts
from jlrun.ranks.shards import is_shard

# Elements up to which all parameters are updated kernel by kernel and not one by one: beyond it
# they no longer lie in the cache between two kernels.
MAX_TOGETHER = 2**20
# Optimizers with a fused kernel, on a CPU as on CUDA.
FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
_ONE = torch.ones((), dtype=torch.float32, device="cpu")
# Keys of a group that do not matter to how its parameters are updated.
NO_MATTER = frozenset({"params", "param_names", "name", "lr_scale", "base_lr"})
# Options of groups of Adam and AdamW that decide how their kernel is called, but for the rate.
OPTIONS_OF_ADAM = (
    *("betas", "eps", "weight_decay", "maximize", "amsgrad", "capturable", "fused"),
    "decoupled_weight_decay",
)
_options_of = itemgetter(*OPTIONS_OF_ADAM)


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


def _gradients_in_memory_order(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return the gradients, after `_in_memory_order`; none of them if one is missing."""
    found = []
    for parameter in parameters:
        grad = parameter.grad
        if grad is None:
            return []
        if grad.stride() != parameter.stride():
            parameter.grad = grad = torch.empty_like(parameter).copy_(grad)
        found.append(grad)
    return found


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

    short = _StepsOfAdam(optimizer) if _is_short(optimizer) else None

    def step() -> None:
        with torch.no_grad():
            if short is not None and short.step():
                return
            with own_parts(optimizer):
                prepare_fused(optimizer)
                groups = optimizer.param_groups
                optimizer.param_groups = _joined(groups)
                try:
                    plain(optimizer)
                finally:
                    optimizer.param_groups = groups

    return step


def _kernel_of(name: str) -> Callable[..., Any]:
    return getattr(torch, f"_fused_{name}_")


def _is_short(optimizer: Optimizer) -> bool:
    """Return whether `_StepsOfAdam` can do the steps: of one kind of parameters, on a CPU."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if any(map(is_shard, parameters)):
        return False
    kinds = {(p.device.type, p.dtype) for p in parameters}
    known = type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
    same = len(kinds) == 1 and kinds.pop()[0] == "cpu"
    return (
        known
        and same
        and all(option in group for group in optimizer.param_groups for option in OPTIONS_OF_ADAM)
    )


@dataclass(frozen=True)
class _Call:
    """Call of a fused kernel of Adam, for parameters that are updated in the same way.

    Attributes:
        group: of the optimizer, which has the options.
        parameters: that are updated, of this group and of others with the same options.
        means, squares, steps: what Adam remembers of them.
    """

    group: dict[str, Any]
    parameters: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]

    def __call__(self, gradients: list[Tensor]) -> None:
        group = self.group
        torch._foreach_add_(self.steps, _ONE, alpha=1.0)  # pyright: ignore[reportPrivateImportUsage]
        kernel = _kernel_of("adamw" if group["decoupled_weight_decay"] else "adam")
        kernel(
            *(self.parameters, gradients, self.means, self.squares, [], self.steps),
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


class _StepsOfAdam:
    """Steps of Adam and AdamW by their fused kernels, and no more: what surrounds it takes longer.

    Args:
        optimizer: Adam or AdamW, all of whose parameters are on a CPU.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._ways: tuple[list[int], list[Any]] = ([], [])
        self._states: list[dict[str, Any]] = []
        self._calls: list[_Call] = []

    def step(self) -> bool:
        """Do what `Adam.step` does.

        Returns:
            False if a step is not as most are, and nothing has been done: the first one, one in
            which a parameter has no gradient, or one with options that are rare.
        """
        groups, states = self._optimizer.param_groups, list(self._optimizer.state.values())
        rates = [group["lr"] for group in groups]
        ways = [rates.index(rate) for rate in rates], [_options_of(group) for group in groups]
        same = len(states) == len(self._states) and all(map(is_, states, self._states))
        if not same or ways != self._ways:
            self._calls = self._new_calls()
            self._ways, self._states = ways, states
        every = [_gradients_in_memory_order(call.parameters) for call in self._calls]
        if not all(every):
            return False
        for call, gradients in zip(self._calls, every, strict=True):
            call(gradients)
        return bool(every)

    def _new_calls(self) -> list[_Call]:
        """Return the calls of a step; none if it is not as most are."""
        known, calls = self._optimizer.state, []
        for alike in _alike(self._optimizer.param_groups):
            group, parameters = alike[0], [p for each in alike for p in each["params"]]
            states = [known.get(p, {}) for p in parameters]
            rare = group["amsgrad"] or group["capturable"] or isinstance(group["lr"], Tensor)
            if rare or not group["fused"] or not states or not all(states):
                return []
            columns = ([s[key] for s in states] for key in ("exp_avg", "exp_avg_sq", "step"))
            calls.append(_Call(group, parameters, *columns))
        return calls


def _joined(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with those as one that are updated together in the same way."""
    if len(groups) == 1 or not all(g.get("foreach") or g.get("fused") for g in groups):
        return groups
    return [
        {**alike[0], "params": [p for group in alike for p in group["params"]]}
        for alike in _alike(groups)
    ]


def _alike(groups: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the groups whose options are equal, together."""
    found: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for group in groups:
        way = {key: value for key, value in group.items() if key not in NO_MATTER}
        same = next((alike for known, alike in found if known == way), None)
        if same is None:
            found.append((way, [group]))
        else:
            same.append(group)
    return [alike for _, alike in found]


def _innermost(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what wrappers wrap; None if nothing does."""
    found = None
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        found = function = inner
    return found
