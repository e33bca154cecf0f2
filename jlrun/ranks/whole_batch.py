"""Layers that look at the whole batch, while a rank passes its own rows through them.

BatchNorm normalises by the mean and variance of the rows of all ranks, and dropout draws the masks
of all rows, of which each rank takes its own.
"""

# N rows of all ranks, n of this one, C channels, W ranks

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from jlrun.ranks.exchange import stacked
from jlrun.ranks.world import World

# Masks of single units, and of whole channels.
_DROPOUTS = {F.dropout: False, F.dropout1d: True, F.dropout2d: True, F.dropout3d: True}


class WholeBatch(TorchFunctionMode):
    """Context of a forward pass of this rank's rows.

    Random numbers of all rows are drawn from the global generators as they are, so that afterwards
    they are on all ranks what they are in one process. What draws numbers for its own rows (dropout
    within attention or between recurrent layers) draws other ones on each rank.

    Args:
        world: of more than one rank.
        positions: int64 ``(n,)``, where the rows are in the whole batch.
        count: N.
        device: of the rows.
    """

    def __init__(self, world: World, positions: Tensor, count: int, device: torch.device) -> None:
        super().__init__()
        self._world = world
        self._positions = positions
        self._count = count
        self._defaults = [torch.default_generator]
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            self._defaults.append(torch.cuda.default_generators[index])
        self._of_all = dict[str, Generator]()

    def __enter__(self) -> Self:
        for default in self._defaults:
            of_all = Generator(default.device)
            of_all.set_state(default.get_state())
            self._of_all[default.device.type] = of_all
            seed = Generator(default.device)
            seed.set_state(default.get_state())
            drawn = torch.randint(2**62, (), generator=seed, device=default.device)
            default.manual_seed(int(drawn) + self._world.rank)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for default in self._defaults:
            default.set_state(self._of_all[default.device.type].get_state())

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.batch_norm:
            return self._batch_norm(*args, **named)
        if func in _DROPOUTS:
            return self._dropout(func, *args, **named)
        return func(*args, **named)

    def _dropout(
        self,
        func: Callable[..., Tensor],
        input: Tensor,  # the names are those of the functions
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        own = len(self._positions)
        # Unbatched maps of `dropout2d`, and what has no rows in front, are masked as they are.
        if not training or p <= 0 or p >= 1 or input.ndim < 2 or len(input) % own:
            return func(input, p, training, inplace)
        each = len(input) // own  # tokens of a row, for example
        shape = list(input.shape)
        shape[0] = self._count * each
        if _DROPOUTS[func]:
            shape[2:] = [1] * (input.ndim - 2)
        mask = torch.empty(shape, dtype=input.dtype, device=input.device)
        mask.bernoulli_(1 - p, generator=self._of_all[input.device.type])
        rows = mask.view(self._count, each, *shape[1:])[self._positions].flatten(0, 1)
        return input.mul_(rows / (1 - p)) if inplace else input * (rows / (1 - p))

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Normalise by the rows of all ranks; the arguments are those of `F.batch_norm`."""
        if not training:
            return F.batch_norm(
                input, running_mean, running_var, weight, bias, training, momentum, eps
            )
        x = input if input.dtype == torch.float64 else input.float()
        mean, var, count = self._moments(x)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean), momentum)
                unbiased = var * (count / (count - 1).clamp(min=1))
                running_var.lerp_(unbiased.to(running_var), momentum)
        shape = (1, -1, *[1] * (x.ndim - 2))
        factor = (var + eps).rsqrt()
        factor = factor if weight is None else factor * weight
        found = (x - mean.view(shape)) * factor.view(shape)
        return (found if bias is None else found + bias.view(shape)).to(input.dtype)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and variance ``(C,)`` over all rows and positions, and their number."""
        var, mean = torch.var_mean(x, dim=[0, *range(2, x.ndim)], correction=0)
        number = mean.new_full((1,), x.numel() / x.shape[1])
        each = stacked(torch.cat([mean, var, number]), self._world)
        channels = x.shape[1]
        means, variances, numbers = each.split([channels, channels, 1], dim=1)
        count = numbers.sum()
        shares = numbers / count
        mean = (shares * means).sum(dim=0)
        var = (shares * (variances + (means - mean).square())).sum(dim=0)
        return mean, var, count
