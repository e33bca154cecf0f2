"""Fit the tensors of a file to a module, and load them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.lora import NAMES, is_lora_parameter
from jlrun.models.weight_files.adapters import folded
from jlrun.models.weight_files.naming import (
    HUGGING_FACE_VIT,
    SAME,
    Named,
    Roots,
    align,
    common_names,
    common_tensors,
    naming_of,
)
from jlrun.models.weight_files.reading import read_weights, settings_beside, weight_file
from jlrun.models.weight_files.report import LoadReport, Skipped

_COUNTER = "num_batches_tracked"  # absent from old files, and unused


@dataclass(frozen=True)
class FittedTensors:
    """Tensors of a file that match a module.

    Attributes:
        tensors: name in the module -> tensor of the module's shape.
        report: of loading them.
    """

    tensors: Mapping[str, Tensor]
    report: LoadReport


def load_weights(module: nn.Module, path: Path, where: str) -> LoadReport:
    """Load the weights at ``path`` that match ``module``; return a report.

    Supported are state dicts of torchvision, timm, Hugging Face (ViT and ResNet) and jlrun,
    at any depth of a training loop's checkpoint. Position embeddings are interpolated, and low-rank
    adapters of a run folded into its weights. Tensors that do not fit stay as they are initialised.

    Args:
        module: an encoder, its network, or a whole model.
        path: see `jlrun.models.weight_files.reading.read_weights`.
        where: config path, for errors.

    Raises:
        UserError: if the file can't be read, or not one tensor fits.
    """
    file = weight_file(path, where)
    found = read_weights(file, where)
    tensors = folded(found, file)
    fit = fit_weights(module, tensors, settings_beside(file))
    if all(name.endswith(_COUNTER) for name in fit.tensors):
        raise UserError.of(where, f"nothing in '{file}' fits the model: {_why(module, fit.report)}")
    module.load_state_dict(fit.tensors, strict=False)
    count = (len(found) - len(tensors)) // len(NAMES)
    note = (f"low-rank adapters of {count} weights are folded into them",) if count else ()
    return replace(fit.report, notes=(*fit.report.notes, *note))


def fit_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None
) -> FittedTensors:
    """Return those of the tensors that ``module`` can take, under its own names.

    Args:
        module: see `load_weights`; left unchanged.
        tensors: name in the file -> tensor.
        settings: the ``config.json`` next to the file.
    """
    own = module.state_dict()
    pairing = _pair(own, tensors)
    fitting: dict[str, Tensor] = {}
    skipped: list[Skipped] = []
    notes = list(_notes(pairing.roots, tensors, module, settings or {}))
    for common, named in pairing.found.items():
        target = pairing.roots.in_model(common)
        name = pairing.own.get(target or "")
        if target is None:
            skipped += [Skipped(s, "it is of another part", "elsewhere") for s in named.sources]
        elif name is None:
            skipped += [Skipped(s, "the model has no such tensor") for s in named.sources]
        else:
            tensor = _shaped(common, target, pairing, module, own[name].shape)
            shapes = _shape(named.tensor), _shape(own[name])
            if tensor is not None:
                fitting[name] = tensor
            else:
                reason = f"{shapes[0]} in the file, {shapes[1]} in the model"
                skipped += [Skipped(s, reason, "shape", name) for s in named.sources]
            if tensor is not None and shapes[0] != shapes[1]:
                notes.append(f"{name}: positions {shapes[0]} of the file made {shapes[1]}")
    loaded = tuple(name for name in own if name in fitting)
    missing = tuple(name for name in own if name not in fitting and not name.endswith(_COUNTER))
    return FittedTensors(fitting, LoadReport(loaded, tuple(skipped), missing, tuple(notes)))


@dataclass(frozen=True)
class _Pairing:
    """Pairing of a file and a model under common names.

    Attributes:
        own: name in common -> name in the model.
        found: name in common -> tensor of the file.
        roots: prefixes of those names.
    """

    own: Mapping[str, str]
    found: Mapping[str, Named]
    roots: Roots


def _pair(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> _Pairing:
    """Return both under the common names of libraries, unless the original names agree better."""
    renamed = common_names(own)
    apart = any(".attn.q." in name for name in renamed.values())
    found = common_tensors(tensors, merge=not apart)
    in_common, count = align(_shapes(found), _shapes({renamed[n]: t for n, t in own.items()}))
    plain = {name: Named(tensor, (name,)) for name, tensor in tensors.items()}
    as_they_stand, plain_count = align(_shapes(plain), _shapes(own))
    if count >= plain_count:
        return _Pairing({common: name for name, common in renamed.items()}, found, in_common)
    return _Pairing({name: name for name in own}, plain, as_they_stand)


def _shaped(
    common: str, target: str, pairing: _Pairing, module: nn.Module, wanted: Size
) -> Tensor | None:
    """Return a tensor of the file in the shape that the model has it; None if it has no such."""
    tensor, name = pairing.found[common].tensor, pairing.own[target]
    is_table = common.rpartition(".")[2] == "pos_embed"
    if is_table and wanted[2:] == tensor.shape[2:]:
        tokens = (_token_beside(common) in pairing.found, _token_beside(target) in pairing.own)
        return fit_positions(tensor, wanted[1], grid_of(module, name), tokens)
    return tensor if tensor.shape == wanted else None


def _token_beside(table: str) -> str:
    return table.removesuffix("pos_embed") + "cls_token"


def _notes(
    roots: Roots,
    tensors: Mapping[str, Tensor],
    module: nn.Module,
    settings: Mapping[str, Any],
) -> Iterator[str]:
    own = module.state_dict()
    if roots != SAME:
        yield f"'{roots.file}…' in the file is '{roots.model}…' in the model"
    if any(map(is_lora_parameter, tensors)) and not any(map(is_lora_parameter, own)):
        yield "the file has low-rank adapters, the model none: merge them into the weights first"
    if naming_of(tensors) is HUGGING_FACE_VIT and naming_of(own) is not HUGGING_FACE_VIT:
        eps = float(settings.get("layer_norm_eps", 1e-12))
        others = {m.eps for m in module.modules() if isinstance(m, nn.LayerNorm)} - {eps}
        if others:
            yield (
                f"the file's LayerNorms add {eps:g} to the variance, the model's "
                f"{min(others):g}: outputs differ where activations are about as small"
            )
        activation = settings.get("hidden_act", "gelu")
        if activation != "gelu":
            yield f"the file's activation is '{activation}', the model's may be another (GELU)"


def _why(module: nn.Module, report: LoadReport) -> str:
    of_shape = [skipped for skipped in report.skipped if skipped.kind == "shape"]
    if of_shape:
        return f"names agree but shapes do not: {of_shape[0].name} is {of_shape[0].reason}."
    name, own = report.skipped[0].name, list(module.state_dict())
    if not own:
        return "it has no weights."
    return f"they share no names, '{name}' is one of the file's, '{own[0]}' of the model's."


def _shapes(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> shape, of tensors or of `Named` ones; counters of BatchNorm left out."""
    return {
        name: (value.tensor if isinstance(value, Named) else value).shape
        for name, value in tensors.items()
        if not name.endswith(_COUNTER)
    }


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def fit_positions(
    table: Tensor,
    length: int,
    grid: tuple[int, int] | None,
    class_tokens: tuple[bool, bool],
) -> Tensor | None:
    """Return a table of positions, ``(1, length, D)``, for another grid; None if impossible.

    The grid is interpolated bicubically with aligned corners, as torchvision does. A class token
    without a position gets zeros, which adds none to it either.

    Args:
        table: ``(1, N, D)`` of the file: of the class token, if it has a place, then of a square
            grid.
        length: N of the model.
        grid: rows and columns of the model; None: it is square.
        class_tokens: whether file and model have a class token.
    """
    if table.ndim != 3 or len(table) != 1:
        return None
    file_token, model_token = class_tokens
    found = _split(table.shape[1], None, file_token)
    wanted = _split(length, grid, model_token)
    if found is None or wanted is None:
        return None
    (old_places, old_grid), (new_places, new_grid) = found, wanted
    places = table[:, :old_places]
    if new_places > old_places:
        places = table.new_zeros(1, new_places, table.shape[2])
    patches = table[:, old_places:]
    if old_grid != new_grid:
        patches = _resized(patches, old_grid, new_grid)
    return torch.cat([places[:, :new_places], patches], dim=1)


def grid_of(model: nn.Module, name: str) -> tuple[int, int] | None:
    """Return ``grid``, rows and columns, of the module that owns the table called ``name``."""
    grid = getattr(model.get_submodule(name.rpartition(".")[0]), "grid", None)
    return grid if isinstance(grid, tuple) and len(grid) == 2 else None


def _split(
    length: int, grid: tuple[int, int] | None, has_token: bool
) -> tuple[int, tuple[int, int]] | None:
    """Return the number of class tokens with a place, and the grid."""
    for places in (1, 0) if has_token else (0,):
        if grid is not None and grid[0] * grid[1] == length - places:
            return places, grid
        side = isqrt(max(0, length - places))
        if grid is None and side > 0 and side * side == length - places:
            return places, (side, side)
    return None


def _resized(patches: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    maps = patches.to(torch.promote_types(patches.dtype, torch.float32))
    maps = maps.view(1, *old, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, size=new, mode="bicubic", align_corners=True)
    return maps.flatten(2).transpose(1, 2).to(patches.dtype)
