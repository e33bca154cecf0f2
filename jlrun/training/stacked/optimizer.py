"""Optimizer of several runs at once, each with its own learning rate and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from jlrun.optimizers import NO_MATTER, stepper
from jlrun.training.learner import Learner
from jlrun.training.stacked.layers import Shared

# Optimizers whose update of an element depends on that element alone.
ELEMENTWISE = (Adam, AdamW, SGD, RMSprop, Adagrad)
# How an update is computed, not what it is.
WAYS = frozenset({"foreach", "fused"})


@dataclass
class _Slice:
    """Part of a shared parameter, of runs that are updated alike.

    Attributes:
        parameter: ``(stop - start, ...)``, a view of the shared one in the order of its memory: a
            matrix is transposed, since PyTorch would copy it otherwise.
        of: the shared one.
        start, stop: runs.
    """

    parameter: nn.Parameter
    of: Shared
    start: int
    stop: int


class StackedOptimizer:
    """Optimizer of the parameters of N runs, whose own optimizers it stands for.

    It is PyTorch's own, of the kind of theirs, with a group for each set of options. The state of
    the runs' optimizers are views of its state.

    Args:
        learners: of the runs, those with equal options one after the other.
        shared: the parameters that are in one tensor; all others are updated as they are.
    """

    def __init__(self, learners: Sequence[Learner], shared: Sequence[Shared]) -> None:
        self._learners = learners
        self._shared = {id(each.own[0]): each for each in shared}
        self._slices: list[_Slice] = []
        self._own: list[tuple[int, nn.Parameter]] = []
        self._groups: list[tuple[int, int]] = []  # of each group, a run and the run's group
        groups = self._make_groups()
        kind = type(learners[0].optimizer)
        self.optimizer: Optimizer = kind(groups)  # pyright: ignore[reportCallIssue]
        self._take_state()
        self.step = stepper(self.optimizer)

    def take_lr(self) -> None:
        """Take the learning rates of the runs as they are now."""
        for group, (run, number) in zip(self.optimizer.param_groups, self._groups, strict=True):
            group["lr"] = self._learners[run].optimizer.param_groups[number]["lr"]

    def give_gradients(self) -> None:
        """Give each slice its part of the gradient."""
        for part in self._slices:
            gradient = part.of.stacked.grad
            part.parameter.grad = (
                None if gradient is None else in_memory(gradient)[part.start : part.stop]
            )

    def forget_gradients(self) -> None:
        """Begin a step without gradients."""
        for shared in self._shared.values():
            shared.stacked.grad = None
            for parameter in shared.own:
                parameter.grad = None
        for _, parameter in self._own:
            parameter.grad = None

    def norms(self) -> Tensor:
        """Return the norm of all gradients of each run, ``(N,)``."""
        norms = [
            torch.linalg.vector_norm(_rows(each.stacked.grad), dim=1)
            for each in self._shared.values()
            if each.stacked.grad is not None
        ]
        own: list[list[Tensor]] = [[] for _ in self._learners]
        for run, parameter in self._own:
            if parameter.grad is not None:
                own[run].append(parameter.grad)
        if any(own):
            norms.append(torch.stack([nn.utils.get_total_norm(gradients) for gradients in own]))
        return torch.linalg.vector_norm(torch.stack(norms), dim=0)

    def clip(self, norms: Tensor, largest: float) -> None:
        """Scale the gradients of runs whose norm is larger than ``largest`` to it."""
        factors = (largest / (norms + 1e-6)).clamp(max=1.0)
        for shared in self._shared.values():
            if (gradient := shared.stacked.grad) is not None:
                gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
        for run, parameter in self._own:
            if parameter.grad is not None:
                parameter.grad.mul_(factors[run])

    def forget_gradients_of(self, run: int) -> None:
        """Give a run a gradient of 0, whatever it was."""
        for shared in self._shared.values():
            if shared.stacked.grad is not None:
                shared.stacked.grad[run] = 0
        for number, parameter in self._own:
            if number == run:
                parameter.grad = None

    def give_state(self) -> None:
        """Let the runs' optimizers have their parts of the state."""
        for part in self._slices:
            state = self.optimizer.state.get(part.parameter)
            if not state:  # no gradient yet: nothing is known of it, as in a run by itself
                continue
            for run in range(part.start, part.stop):
                own = self._learners[run].optimizer.state
                own[part.of.own[run]] = {
                    name: _part(value, part.parameter, run - part.start)
                    for name, value in state.items()
                }
        for run, parameter in self._own:
            state = self.optimizer.state.get(parameter)
            if not state:
                continue
            self._learners[run].optimizer.state[parameter] = {
                name: value.clone() if _is_number(value) else value for name, value in state.items()
            }

    def _make_groups(self) -> list[dict[str, Any]]:
        """Return a group of parameters for each set of options."""
        made: dict[str, dict[str, Any]] = {}
        for number in range(len(self._learners[0].optimizer.param_groups)):
            options = [options_of(each, number) for each in self._learners]
            for start, stop in _equal(options):
                parameters = list(self._parameters(number, start, stop))
                key = repr((start, stop, sorted(options[start].items())))
                if key in made:
                    made[key]["params"] += parameters
                    continue
                own = {**options[start], "lr": options[start]["base_lr"], "params": parameters}
                made[key] = own | self._way(parameters, own)
                self._groups.append((start, number))
        return list(made.values())

    def _parameters(self, number: int, start: int, stop: int) -> list[nn.Parameter]:
        found: list[nn.Parameter] = []
        for index in range(len(self._learners[0].optimizer.param_groups[number]["params"])):
            own = [
                self._learners[run].optimizer.param_groups[number]["params"][index]
                for run in range(start, stop)
            ]
            first = self._learners[0].optimizer.param_groups[number]["params"][index]
            shared = self._shared.get(id(first))
            if shared is None:
                self._own += zip(range(start, stop), own, strict=True)
                found += own
            else:
                parameter = nn.Parameter(in_memory(shared.stacked.detach())[start:stop])
                self._slices.append(_Slice(parameter, shared, start, stop))
                found.append(parameter)
        return found

    def _way(
        self, parameters: Sequence[nn.Parameter], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return how the parameters are updated: in one pass over them, where PyTorch can."""
        defaults = self._learners[0].optimizer.defaults
        floats = all(p.is_floating_point() for p in parameters)
        # Dampened momentum begins with all of the first gradient, which fused kernels do not do.
        if "fused" not in defaults or not floats or options.get("dampening"):
            return {"foreach": True} if "foreach" in defaults else {}
        return {"fused": True, "foreach": False}

    def _take_state(self) -> None:
        """Begin with the state of the runs' optimizers, where they have any."""
        for part in self._slices:
            states = [
                self._learners[run].optimizer.state.get(part.of.own[run])
                for run in range(part.start, part.stop)
            ]
            if known := [state for state in states if state]:
                self.optimizer.state[part.parameter] = _joined(known, part.parameter)
        for run, parameter in self._own:
            if state := self._learners[run].optimizer.state.get(parameter):
                self.optimizer.state[parameter] = {
                    name: value.clone() if isinstance(value, Tensor) else value
                    for name, value in state.items()
                }


def options_of(learner: Learner, number: int) -> dict[str, Any]:
    """Return what decides how a group of a run's parameters is updated."""
    group = learner.optimizer.param_groups[number]
    ignored = (NO_MATTER | WAYS | {"lr"}) - {"base_lr"}
    return {name: value for name, value in group.items() if name not in ignored}


def _equal(options: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return the longest stretches of equal options, as first and behind the last."""
    starts = [i for i, each in enumerate(options) if i == 0 or each != options[i - 1]]
    return list(zip(starts, [*starts[1:], len(options)], strict=True))


def in_memory(stacked: Tensor) -> Tensor:
    """Return a shared parameter ``(N, ...)``, or its gradient, as it lies in memory."""
    return stacked.mT if stacked.ndim == 3 else stacked


def _of_run(value: Tensor) -> Tensor:
    """Return one run's part of what `in_memory` gave as it was."""
    return value.mT if value.ndim == 2 else value


def _rows(gradient: Tensor | None) -> Tensor:
    """Return the elements of each run, ``(N, M)``, in any order, without a copy."""
    assert gradient is not None
    return in_memory(gradient).flatten(1)


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0


def _part(value: Any, parameter: Tensor, number: int) -> Any:
    if isinstance(value, Tensor):
        return _of_run(value[number]) if value.shape == parameter.shape else value.clone()
    return value


def _joined(states: Sequence[Mapping[str, Any]], parameter: Tensor) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, first in states[0].items():
        if isinstance(first, Tensor) and first.ndim and first.ndim == parameter.ndim - 1:
            found[name] = torch.stack([_of_run(state[name]) for state in states])
        else:
            found[name] = first.clone() if isinstance(first, Tensor) else first
    return found
