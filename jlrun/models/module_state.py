"""Module state: training mode, BatchNorm statistics and buffers, put back as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from jlrun.seeding import preserved_randomness


@contextmanager
def running_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise by the running statistics, which stay as they are, as in evaluation."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.training = False
    try:
        yield
    finally:
        for norm in norms:
            norm.training = True


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers of ``model``."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def modules_without_training(model: nn.Module, frozen: Sequence[str]) -> list[nn.Module]:
    """Return the submodules whose parameters, inner ones included, are all in ``frozen``."""
    names = set(frozen)
    found = []
    for prefix, module in model.named_modules():
        inner = [f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()]
        if inner and names.issuperset(inner):
            found.append(module)
    return found


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore random generators and buffers (running statistics) on exit."""
    with preserved_randomness(), unchanged_buffers(model):
        yield


@contextmanager
def unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Restore buffers (running statistics) on exit."""
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


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in evaluation mode, and restore the mode of each module on exit."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
