"""Low-rank adapters in the checkpoint of a run, folded into the weights that they change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jlrun.files.atomic import reading
from jlrun.files.bounded_text import parse_yaml, read_bounded
from jlrun.files.run_directory import RunDirectory
from jlrun.models.lora import NAMES, WEIGHT_NAMES, low_rank_change


def folded(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file without adapters: W + (α / r) B A in the place of each W.

    Tensors without adapters, and those whose α and r are not in the config of a run above the file,
    stay as they are.

    Args:
        tensors: name -> tensor.
        file: that they were read from, ``<run>/checkpoints/<name>/model.safetensors``.

    Raises:
        UserError: if the run's config is damaged.
    """
    found = dict(tensors)
    layers = [name.removesuffix("lora_a") for name in tensors if name.endswith(".lora_a")]
    scale = _scale(file) if layers else None
    if scale is None:
        return found
    for layer in layers:
        name = next((f"{layer}{own}" for own in WEIGHT_NAMES if f"{layer}{own}" in found), None)
        a, b = (found.get(f"{layer}{each}") for each in NAMES)
        if name is None or a is None or b is None or not _fit(found[name], a, b):
            continue
        weight = found[name]
        change = low_rank_change(a.double(), b.double(), scale).view(weight.shape)
        found[name] = (weight.double() + change).to(weight.dtype)
        del found[f"{layer}lora_a"], found[f"{layer}lora_b"]
    return found


def _fit(weight: Tensor, a: Tensor, b: Tensor) -> bool:
    """Whether B A has as many values as W."""
    shaped = a.ndim == b.ndim == 2 and len(a) == b.shape[1]
    return shaped and len(b) * a.shape[1] == weight.numel()


def _scale(file: Path) -> float | None:
    """Return α / r of the run that a checkpoint is of; None if it is of none, or names neither."""
    folder = Path(os.path.abspath(file)).parent
    above = folder.parents
    config = RunDirectory(above[1]).config if len(above) > 1 else None
    if config is None or not config.is_file():
        return None
    with reading(config):
        node = parse_yaml(read_bounded(config)).get("finetune") or {}
        rank, alpha = node.get("rank"), node.get("alpha")
    if isinstance(rank, int) and rank > 0 and isinstance(alpha, int | float):
        return alpha / rank
    return None
