"""Blocks of a model's body, from its input to its features."""

from __future__ import annotations

from torch import nn

_NORMALISATION = ("Norm", "BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm", "FrozenBatchNorm")


def blocks(model: nn.Module, body: str = "body") -> list[list[str]]:
    """Return the names of the body's parameters in blocks, by depth.

    A block is a layer, or a residual or attention block; a normalisation layer belongs to what it
    follows. Where there are several encoders, their last blocks are of the same depth. What is
    above the encoders (a fusion) is the last block.

    Args:
        model: a `jlrun.models.joint_model.JointModel`.
        body: name of the submodule that is divided.
    """
    names = {name for name, _ in model.named_parameters() if name.startswith(f"{body}.")}
    stacks = [
        _stack(encoder, prefix)
        for prefix, encoder in _encoders(model)
        if prefix.startswith(f"{body}.")
    ]
    depth = max((len(stack) for stack in stacks), default=0)
    found: list[list[str]] = [[] for _ in range(depth)]
    for stack in stacks:
        for i, block in enumerate(stack):
            found[depth - len(stack) + i] += block
    inside = {name for block in found for name in block}
    above = [name for name, _ in model.named_parameters() if name in names - inside]
    return [*found, above] if above else found


def _encoders(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return path -> encoder, of all trunks."""
    return [
        (f"{path}.{name}", encoder)
        for path, module in model.named_modules()
        if path.endswith(".encoders")
        for name, encoder in module.named_children()
    ]


def _stack(module: nn.Module, path: str) -> list[list[str]]:
    """Return the blocks of one encoder."""
    own = [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
    children = [(n, c) for n, c in module.named_children() if any(True for _ in c.parameters())]
    found: list[list[str]] = []
    before: list[str] = []  # normalisation before the first block
    for name, child in children:
        inner = f"{path}.{name}"
        if _is_container(child):
            found += _stack(child, inner)
        elif _is_normalisation(child):
            (found[-1] if found else before).extend(_parameters(child, inner))
        else:
            found.append([*before, *_parameters(child, inner)])
            before = []
    own += before
    if own:  # tokens and embeddings stand before the first block
        found = [[*own, *found[0]], *found[1:]] if found else [own]
    return found


def _parameters(module: nn.Module, path: str) -> list[str]:
    return [f"{path}.{name}" for name, _ in module.named_parameters()]


def _is_normalisation(module: nn.Module) -> bool:
    return any(part in type(module).__name__ for part in _NORMALISATION)


def _is_container(module: nn.Module) -> bool:
    """Whether a module only runs its children in turn, which are then the blocks."""
    if isinstance(module, nn.Sequential | nn.ModuleList):
        return True
    return any(_lists_blocks(child) or _is_network(child) for child in module.children())


def _is_network(module: nn.Module) -> bool:
    return not isinstance(module, nn.Sequential | nn.ModuleList) and _is_container(module)


def _lists_blocks(module: nn.Module) -> bool:
    """Whether a module is a list, or a list of lists, with several composed modules of a kind."""
    if not isinstance(module, nn.Sequential | nn.ModuleList):
        return False
    kinds = [
        type(part)
        for part in module
        if not isinstance(part, nn.Sequential) and any(True for _ in part.children())
    ]
    return any(kinds.count(kind) > 1 for kind in kinds) or any(map(_lists_blocks, module))
