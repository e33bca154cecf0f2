"""Repeated blocks: what deep networks are made of, found by how their modules are nested."""

from __future__ import annotations

from collections import Counter

from torch import nn


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """Return the outermost blocks of which a network has several in a row, in its order.

    Blocks are neighbours in a list or a chain of modules that have one class, parameters, and
    modules of their own: layers of transformers, residual blocks. A chain of plain layers has none.
    """
    if isinstance(network, nn.ModuleList | nn.Sequential):
        kinds = Counter(type(child) for child in network if _is_block(child))
        blocks = {id(c) for c in network if _is_block(c) and kinds[type(c)] > 1}
    else:
        blocks = set[int]()
    found = []
    for child in network.children():
        found += [child] if id(child) in blocks else repeated_blocks(child)
    return found


def _is_block(module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleList | nn.ModuleDict):  # nobody calls them
        return False
    has_children = next(module.children(), None) is not None
    return has_children and next(module.parameters(), None) is not None
