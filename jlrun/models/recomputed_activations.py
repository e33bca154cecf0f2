"""Recomputed activations: blocks keep their inputs alone, and compute the rest once more.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016: less memory for one more forward
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from jlrun.models.encoders.base import Encoder
from jlrun.models.module_state import unchanged_buffers
from jlrun.models.repeated_blocks import repeated_blocks
from jlrun.ranks.whole_batch import WholeBatch


def recompute_activations(network: nn.Module) -> None:
    """Let the blocks of each encoder in ``network`` compute their activations once more, in place.

    An encoder without repeated blocks is one. Names of parameters stay as they are.
    """
    for encoder in [module for module in network.modules() if isinstance(module, Encoder)]:
        for block in repeated_blocks(encoder) or [encoder]:
            block.forward = partial(_forward, block, block.forward)


def _forward(block: nn.Module, forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **named)
    active = WholeBatch.active
    begin = None if active is None else active.begin_again()
    modes = [(module, module.training) for module in block.modules()]

    @contextmanager
    def once_more() -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(unchanged_buffers(block))
            stack.enter_context(_in_modes(modes))
            stack.enter_context(nullcontext() if begin is None else begin())
            yield

    return checkpoint(
        forward,
        *arguments,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), once_more()),
        **named,
    )


@contextmanager
def _in_modes(modes: list[tuple[nn.Module, bool]]) -> Iterator[None]:
    """Put modules in the modes that they had: a lone row is normalised as in evaluation."""
    before = [(module, module.training) for module, _ in modes]
    for module, training in modes:
        module.training = training
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
