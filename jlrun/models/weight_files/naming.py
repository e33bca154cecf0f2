"""Names of layers: common ones across libraries, and the part that a file and a model share.

Vision transformers get timm's names, ResNets and DenseNets torchvision's of today.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Size, Tensor

QKV = ("q", "k", "v")
# A rule matches whole parts of a name, after any prefix.
_START = r"(^|.*\.)"


@dataclass(frozen=True)
class Naming:
    """Naming scheme of a library for a kind of model.

    Attributes:
        library: its name, for messages.
        marker: regular expression that names of no other library match.
        rules: pairs of what a name starts with, after any prefix, and what that becomes; the first
            rule that fits is used.
    """

    library: str
    marker: str
    rules: Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]

    def used_by(self, names: Iterable[str]) -> bool:
        """Whether any of the names is one of the library's."""
        return any(re.search(self.marker, name) for name in names)

    def common(self, name: str) -> str:
        """Return the common name of the library's ``name``."""
        for pattern, replacement in self.rules:
            found = re.match(f"{_START}{pattern}", name)
            if found:
                new = replacement if isinstance(replacement, str) else replacement(found)
                return found.group(1) + found.expand(new) + name[found.end() :]
        return name


def _resnet_layer(found: re.Match[str]) -> str:
    stage, block, number, kind = found.groups()[1:]
    layer = "conv" if kind == "convolution" else "bn"
    return f"layer{int(stage) + 1}.{block}.{layer}{int(number) + 1}"


def _resnet_shortcut(found: re.Match[str]) -> str:
    stage, block, kind = found.groups()[1:]
    return f"layer{int(stage) + 1}.{block}.downsample.{0 if kind == 'convolution' else 1}"


_BLOCK = r"(?:encoder\.layer|layers)\.(\d+)\."  # in files, and in memory since transformers 5
_KIND = r"(convolution|normalization)(?=\.)"

HUGGING_FACE_VIT = Naming(
    "Hugging Face's ViT",
    r"(^|\.)embeddings\.patch_embeddings\.projection\.",
    (
        (r"embeddings\.cls_token$", "cls_token"),
        (r"embeddings\.position_embeddings$", "pos_embed"),
        (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (_BLOCK + r"attention\.attention\.(q)uery\.", r"blocks.\2.attn.\3."),
        (_BLOCK + r"attention\.attention\.(k)ey\.", r"blocks.\2.attn.\3."),
        (_BLOCK + r"attention\.attention\.(v)alue\.", r"blocks.\2.attn.\3."),
        (_BLOCK + r"attention\.([qkv])_proj\.", r"blocks.\2.attn.\3."),
        (_BLOCK + r"attention\.(?:output\.dense|o_proj)\.", r"blocks.\2.attn.proj."),
        (_BLOCK + r"layernorm_before\.", r"blocks.\2.norm1."),
        (_BLOCK + r"layernorm_after\.", r"blocks.\2.norm2."),
        (_BLOCK + r"(?:intermediate\.dense|mlp\.fc1)\.", r"blocks.\2.mlp.fc1."),
        (_BLOCK + r"(?:output\.dense|mlp\.fc2)\.", r"blocks.\2.mlp.fc2."),
        (r"layernorm\.", "norm."),
    ),
)
_TORCHVISION_VIT = Naming(
    "torchvision's vision transformer",
    r"(^|\.)encoder\.layers\.encoder_layer_\d+\.",
    (
        (r"class_token$", "cls_token"),
        (r"conv_proj\.", "patch_embed.proj."),
        (r"encoder\.pos_embedding$", "pos_embed"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.", r"blocks.\2.norm\3."),
        (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_", r"blocks.\2.attn.qkv."),
        (
            r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.",
            r"blocks.\2.attn.proj.",
        ),
        # the names of the layers of the MLP before and since torchvision 0.12
        (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.", r"blocks.\2.mlp.fc1."),
        (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.", r"blocks.\2.mlp.fc2."),
        (r"encoder\.ln\.", "norm."),
        (r"heads\.head\.", "head."),
    ),
)
_HUGGING_FACE_RESNET = Naming(
    "Hugging Face's ResNet",
    r"(^|\.)embedder\.embedder\.convolution\.",
    (
        (r"embedder\.embedder\.convolution\.", "conv1."),
        (r"embedder\.embedder\.normalization\.", "bn1."),
        (rf"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.{_KIND}", _resnet_layer),
        (rf"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.{_KIND}", _resnet_shortcut),
    ),
)
_OLD_DENSENET = Naming(
    "an old DenseNet",
    r"(^|\.)denselayer\d+\.(norm|relu|conv)\.[12]\.",
    ((r"(denselayer\d+)\.(norm|relu|conv)\.([12])\.", r"\2.\3\4."),),
)
_NAMINGS = (HUGGING_FACE_VIT, _TORCHVISION_VIT, _HUGGING_FACE_RESNET, _OLD_DENSENET)


def naming_of(names: Iterable[str]) -> Naming | None:
    """Return the naming that the names follow; None: they are the common ones, or not known."""
    known = list(names)
    return next((naming for naming in _NAMINGS if naming.used_by(known)), None)


def common_names(names: Iterable[str]) -> dict[str, str]:
    """Return name -> common name, one for each."""
    known = list(names)
    naming = naming_of(known)
    return {name: naming.common(name) if naming else name for name in known}


@dataclass(frozen=True)
class Named:
    """A tensor under its common name.

    Attributes:
        tensor: parts that are separate in the file are concatenated.
        sources: its names in the file.
    """

    tensor: Tensor
    sources: tuple[str, ...]


def common_tensors(tensors: Mapping[str, Tensor], merge: bool) -> dict[str, Named]:
    """Return common name -> tensor of a file.

    Args:
        tensors: by their names in the file.
        merge: whether queries, keys and values become one tensor, in this order, as
            ``attn.qkv``.
    """
    renamed = common_names(tensors)
    found = {new: Named(tensors[old], (old,)) for old, new in renamed.items()}
    if not merge:
        return found
    for name in list(found):
        start, middle, end = name.rpartition(".attn.q.")
        parts = [f"{start}.attn.{part}.{end}" for part in QKV]
        if middle and all(part in found for part in parts):
            named = [found.pop(part) for part in parts]
            together = torch.cat([part.tensor for part in named])
            sources = tuple(source for part in named for source in part.sources)
            found[f"{start}.attn.qkv.{end}"] = Named(together, sources)
    return found


@dataclass(frozen=True)
class Roots:
    """Prefixes of the names that a file and a model have in common.

    Attributes:
        file: for example ``module.encoder_q.``; empty: nothing.
        model: for example ``body.trunks.shared.encoders.image.network.``; empty: nothing.
    """

    file: str
    model: str

    def in_model(self, name: str) -> str | None:
        """Return the name in the model of ``name`` in the file; None: it is of another part."""
        if not name.startswith(self.file):
            return None
        return self.model + name.removeprefix(self.file)


SAME = Roots("", "")


def align(file: Mapping[str, Size], model: Mapping[str, Size]) -> tuple[Roots, int]:
    """Return the roots with the most names in common, and how many those are.

    Among equals, those with more tensors of equal shape, then the teacher of a self-distilled
    model (it is the one such methods evaluate), the shortest, the first. Roots that are not the
    whole of both count only where they explain at least half of the file or of the model: layers of
    different networks often have equal names.

    Args:
        file: name -> shape of its tensors.
        model: name -> shape of its tensors.
    """
    enough = max(1, -(-min(len(file), len(model)) // 2))
    best, best_quality = SAME, _quality(SAME, file, model)
    if best_quality[0] == min(len(file), len(model)):
        return SAME, best_quality[0]  # no others have more
    for file_root in _roots(file, enough):
        under = {n: shape for n, shape in file.items() if n.startswith(file_root)}
        for model_root in _roots(model, enough):
            roots = Roots(file_root, model_root)
            quality = _quality(roots, under, model)
            if quality[0] >= enough and quality > best_quality:
                best, best_quality = roots, quality
    return best, best_quality[0]


def _quality(
    roots: Roots, file: Mapping[str, Size], model: Mapping[str, Size]
) -> tuple[int, int, bool, int]:
    """Return the sort key of roots: first, the number of names in common."""
    targets = [(roots.in_model(name), shape) for name, shape in file.items()]
    shapes = [model[name] == shape for name, shape in targets if name is not None and name in model]
    is_teacher = "teacher" in roots.file.split(".")
    return len(shapes), sum(shapes), is_teacher, -len(roots.file) - len(roots.model)


def _roots(names: Iterable[str], enough: int) -> list[str]:
    """Return the prefixes, up to a dot or empty, of at least ``enough`` names."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update("".join(f"{part}." for part in parts[:end]) for end in range(len(parts)))
    return [root for root, count in counts.items() if count >= enough]
