"""Measure a model without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from jlrun.seeding import preserved_randomness


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Give random generators and buffers (running statistics) back as they were."""
    with preserved_randomness(), unchanged_buffers(model):
        yield


@contextmanager
def unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Give buffers (running statistics) back as they were."""
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in kept:
                module._buffers[name] = buffer.copy_(before)
