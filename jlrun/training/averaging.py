"""Running averages of a model's weights."""

# t steps averaged so far, d_t decay of step t

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from jlrun.ranges import Fraction
from jlrun.ranks.shards import load_weights, placed_like


class Average(Protocol):
    """Average of the weights that train, which is scored and kept in their place."""

    def update(self, model: nn.Module) -> None:
        """Take the model's weights of another step in."""
        ...

    def applied(self, model: nn.Module) -> Any:
        """Return a context in which the model has the averaged weights."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all it remembers."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class NoAverage:
    """The weights themselves."""

    def update(self, model: nn.Module) -> None:
        """Do nothing."""

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Leave the model as it is."""
        yield

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


class WeightAverage:
    """θ̄ ← d_t θ̄ + (1 − d_t) θ after every step, of all weights and float buffers.

    d_t = min(decay, 1 − (1 + t)^(−2/3)), so that the first steps, far from where training ends, are
    forgotten quickly. Buffers of whole numbers are those of the model. Averages are kept in float32
    at least: in half precision 1 − d_t of a weight would round to nothing.

    Args:
        decay: largest d_t.
    """

    def __init__(self, decay: Fraction = 0.999) -> None:
        self._decay = decay
        self._steps = 0
        self._average: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the model's weights of another step in."""
        decay = min(self._decay, 1 - (1 + self._steps) ** (-2 / 3))
        self._steps += 1
        for name, tensor in model.state_dict().items():
            old = self._average.get(name)
            if old is None or not tensor.is_floating_point():
                self._average[name] = _precise_copy(tensor)
            else:
                # What was read from a checkpoint may lie on another device, and is not sharded.
                average = placed_like(old, tensor)
                self._average[name] = average.lerp_(tensor.to(average.dtype), 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights, and its own back afterwards.

        Buffers that change meanwhile keep their averages of before.
        """
        if not self._average:
            yield
            return
        own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        load_weights(model, self._average)
        try:
            yield
        finally:
            load_weights(model, own)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps and the averages; they are not copied."""
        return {"steps": self._steps, "average": dict(self._average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._steps = state["steps"]
        self._average = {name: tensor.clone() for name, tensor in state["average"].items()}


def _precise_copy(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32), copy=True)
