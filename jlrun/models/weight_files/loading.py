"""Fit the tensors of a file to a module, and load them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Size, Tensor, nn

from jlrun.errors import UserError
from jlrun.models.lora import is_lora_parameter
from jlrun.models.weight_files.alignment import SAME, Roots, align
from jlrun.models.weight_files.naming import (
    HUGGING_FACE_VIT,
    Named,
    common_names,
    common_tensors,
    naming_of,
)
from jlrun.models.weight_files.positions import fit_positions, grid_of
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
    at any depth of a training loop's checkpoint. Position embeddings are interpolated. Tensors
    that do not fit stay as they are initialised.

    Args:
        module: an encoder, its network, or a whole model.
        path: see `jlrun.models.weight_files.reading.read_weights`.
        where: config path, for errors.

    Raises:
        UserError: if the file can't be read, or not one tensor fits.
    """
    file = weight_file(path, where)
    fit = fit_weights(module, read_weights(file, where), settings_beside(file))
    if all(name.endswith(_COUNTER) for name in fit.tensors):
        raise UserError.of(where, f"nothing in '{file}' fits the model: {_why(module, fit.report)}")
    module.load_state_dict(fit.tensors, strict=False)
    return fit.report


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
    """A file and a model under common names.

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
