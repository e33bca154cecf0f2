"""Pretrained weights of torchvision models, from a file or by download."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from jlrun.errors import UserError, did_you_mean

WHERE = "backbone.image.weights"
Weights = Mapping[str, Tensor]

# DenseNet files are older than today's names of its layers.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
# Parts of published files that train the model but are no part of its features.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def load_pretrained(network: nn.Module, name: str, weights: str) -> None:
    """Fill ``network``, model ``name`` without its last layer, with pretrained weights.

    Position embeddings of vision transformers are interpolated to the network's image size.

    Args:
        network: from `jlrun.encoders.architectures.build_features`.
        name: of the torchvision model.
        weights: a ``.safetensors``, ``.pth`` or ``.pt`` file, or the name of published weights:
            ``DEFAULT`` or for example ``IMAGENET1K_V1``.

    Raises:
        UserError: if the weights can't be found, read or downloaded, or don't fit the network.
    """
    is_file = Path(weights).suffix in (".safetensors", ".pth", ".pt")
    found = _read(Path(weights).expanduser()) if is_file else _download(name, weights)
    state = _fit_positions(_renamed(found), network)
    classifier = list(network.named_children())[-1][0] + "."
    expected = network.state_dict()
    _refuse_mismatch(expected, state, ignored=(classifier, *_AUXILIARY), name=name, source=weights)
    network.load_state_dict({k: v for k, v in state.items() if k in expected}, strict=False)


def _read(path: Path) -> Weights:
    if not path.is_file():
        raise UserError.of(
            WHERE,
            f"there is no file '{path}'. Expected the weights of the model as .safetensors or "
            ".pth, or null, or DEFAULT to download them.",
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # weights_only: nothing that a file pickles is ever executed
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise many kinds, all of which mean the same
        raise UserError.of(
            WHERE, f"'{path}' can't be read as tensors only: {_first_line(error)}"
        ) from error
    content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise UserError.of(WHERE, f"'{path}' holds no named tensors: expected a state dict.")
    return tensors


def _download(name: str, weights: str) -> Weights:
    from torchvision import models

    published = cast(Any, models.get_model_weights(name)).__members__
    if weights not in published:
        raise UserError.of(
            WHERE,
            f"'{weights}' is neither a .safetensors, .pth or .pt file nor published weights of "
            f"{name}.{did_you_mean(weights, published)}",
        )
    url = published[weights].url
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:  # URLError is an OSError
        file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        raise UserError.of(
            WHERE,
            f"the weights {weights} of {name} can't be downloaded ({_first_line(error)}). "
            f"Put {url} at '{file}', or set weights to a local file.",
        ) from error


def _renamed(state: Weights) -> dict[str, Tensor]:
    plain = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return {_OLD_DENSENET.sub(r"\1\2", key): tensor for key, tensor in plain.items()}


def _fit_positions(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    from torchvision.models import VisionTransformer
    from torchvision.models.vision_transformer import interpolate_embeddings

    if not isinstance(network, VisionTransformer) or "encoder.pos_embedding" not in state:
        return state
    size, patch = network.image_size, network.patch_size
    return interpolate_embeddings(size, patch, OrderedDict(state))


def _refuse_mismatch(
    expected: Weights, found: Weights, ignored: tuple[str, ...], name: str, source: str
) -> None:
    """Raise a `UserError` unless every tensor of the network, and nothing else, was found."""
    counters = "num_batches_tracked"  # absent from old files, and unused
    missing = [k for k in expected if k not in found and not k.endswith(counters)]
    shapes = [
        f"{k} is {tuple(found[k].shape)} in the file, {tuple(tensor.shape)} in the model"
        for k, tensor in expected.items()
        if k in found and found[k].shape != tensor.shape
    ]
    extra = [k for k in found if k not in expected and not k.startswith(ignored)]
    if not (missing or shapes or extra):
        return
    fitting = len(expected) - len(shapes) - len([k for k in expected if k not in found])
    details = [
        f"{len(items)} {what}: {', '.join(items[:3])}{', …' if len(items) > 3 else ''}"
        for what, items in (("of other shape", shapes), ("missing", missing), ("unknown", extra))
        if items
    ]
    hint = " Weights of the 7×7 stem need stem=imagenet." if _other_stem(expected, found) else ""
    raise UserError.of(
        WHERE,
        f"'{source}' does not fit {name}: {fitting} of its {len(expected)} tensors fit; "
        f"{'; '.join(details)}. Nothing was loaded.{hint}",
    )


def _other_stem(expected: Weights, found: Weights) -> bool:
    key = "conv1.weight"
    return (
        key in expected
        and key in found
        and found[key].shape[2:] == (7, 7) != expected[key].shape[2:]
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
