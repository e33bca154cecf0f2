"""Contents of an export: tensors under plain names, and a description of their use.

Networks of other libraries are described so that these load them.
"""

# p pixel in [0, 1], m, s mean and std of the data set, a, b scale and shift of the encoder

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from jlrun import __version__
from jlrun.data.specs import ImageSpec, Spec, TextSpec, spec_to_json
from jlrun.errors import UserError, did_you_mean
from jlrun.files.run_directory import BEST, RunDirectory
from jlrun.models import checkpoints
from jlrun.models.encoders import DilatedResNet, HuggingFace, Timm, Torchvision
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import merge_lora
from jlrun.models.sharing import Soft
from jlrun.models.sharing.base import FeatureSharing
from jlrun.models.trunk import Trunk
from jlrun.runs.exporting.preprocessing import inputs_of_weights
from jlrun.runs.saved_model import Teacher, load_teacher, read_description
from jlrun.runs.saved_run import load_run
from jlrun.runs.settings import ModelSettings, RunSettings, without_weights
from jlrun.strategies.zero_shot.holdout import learned_classes

COLOUR_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Export:
    """Export, as `export_model` and `export_encoder` return it.

    Attributes:
        tensors: name -> tensor, contiguous, on the CPU.
        description: plain values, the content of ``model.json``.
        notes: what the reader should know of it, in sentences.
        preprocessing: of a whole model, the content of ``preprocessing.json``.
    """

    tensors: Mapping[str, Tensor]
    description: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def num_values(self) -> int:
        """Return the number of values in all tensors."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def about(self) -> list[str]:
        """Return paragraphs of a model card."""
        kind, run = self.description["kind"], self.description["run"]
        what = "whole model" if kind == "model" else f"encoder of {self.description['modality']}"
        weights = "selected" if run["checkpoint"] == BEST else "last"
        text = f"This export is the {what} with the {weights} weights, as safetensors."
        return [text, *self.notes]


def export_model(directory: Path, checkpoint: str) -> Export:
    """Return the whole model of a run, its low-rank adapters folded into the weights.

    Args:
        directory: of the run.
        checkpoint: ``best``, the selected weights, or ``last``, those that it would go on from.

    Raises:
        UserError: if there is no such run or checkpoint.
    """
    loaded = _load(directory, checkpoint)
    description = {
        **_origin(directory, loaded.settings, checkpoint, "model"),
        **read_description(directory),
        "architecture": _architecture(loaded.settings.model, tuple(loaded.teacher.specs)),
        "merged_adapters": list(loaded.merged),
    }
    inputs = inputs_of_weights(loaded.teacher.specs)
    return Export(_plain(loaded.teacher.model), description, preprocessing=inputs)


def export_encoder(directory: Path, checkpoint: str, encoder: str) -> Export:
    """Return one encoder of a run's model, as the network that it is made of names its tensors.

    Args:
        directory: of the run.
        checkpoint: as in `export_model`.
        encoder: its modality; ``task/modality`` where tasks have separate encoders.

    Raises:
        UserError: if there is no such run, checkpoint or encoder, or several fit.
    """
    loaded = _load(directory, checkpoint)
    teacher, (trunk, _, modality) = loaded.teacher, encoder.rpartition("/")
    module = _find(teacher.model, trunk, modality)
    network, spec = network_of(module), teacher.specs[modality]
    node = loaded.settings.model.encoder(modality)
    description = {
        **_origin(directory, loaded.settings, checkpoint, "encoder"),
        "modality": modality,
        "spec": spec_to_json(spec),
        "architecture": _architecture(loaded.settings.model, (modality,))["backbone"],
        "out_features": module.out_features,
        "merged_adapters": list(_under(loaded.merged, teacher.model, network)),
        **describe_network(module, spec, node),
    }
    return Export(_plain(network), description, _notes(teacher.model, module, network))


@dataclass(frozen=True)
class _Loaded:
    settings: RunSettings
    teacher: Teacher
    merged: tuple[str, ...]


def _load(directory: Path, checkpoint: str) -> _Loaded:
    settings, _ = load_run(directory)
    teacher = load_teacher(directory, torch.device("cpu"), checkpoint)
    return _Loaded(settings, teacher, merge_lora(teacher.model))


def _plain(module: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().contiguous().clone() for name, t in module.state_dict().items()}


def _origin(directory: Path, settings: RunSettings, checkpoint: str, kind: str) -> dict[str, Any]:
    """Return where the weights come from; no absolute path, since files are given to others."""
    state = checkpoints.load_state(RunDirectory(directory).checkpoints / checkpoint)
    heads = read_description(directory)["heads"]
    return {
        "kind": kind,
        "jlrun": __version__,
        "run": {
            "name": directory.resolve().name,
            "mode": settings.strategy.mode,
            "strategy": settings.strategy.name,
            "seed": settings.seed,
            "checkpoint": checkpoint,
            "selected": state.get("selected"),
        },
        "learned_classes": learned_classes(directory, heads),
    }


def _architecture(model: ModelSettings, modalities: tuple[str, ...]) -> dict[str, Any]:
    """Return the nodes that the model was built from, without paths of weights."""
    return {
        "backbone": {m: without_weights(model.encoder(m)) for m in modalities},
        "fusion": model.fusion if len(modalities) > 1 else None,
        "sharing": model.sharing,
        "heads": model.head,
    }


def _find(model: JointModel, trunk: str, modality: str) -> Any:
    """Return the encoder of ``modality`` in the trunk called ``trunk``, or in the only one."""
    trunks = {
        name.rpartition(".")[2]: module
        for name, module in model.named_modules()
        if isinstance(module, Trunk)
    }
    known = list(next(iter(trunks.values())).encoders)
    if modality not in known:
        raise UserError.of("--encoder", f"there is no '{modality}'.{did_you_mean(modality, known)}")
    if not trunk and len(trunks) > 1:
        choices = ", ".join(f"{name}/{modality}" for name in trunks)
        raise UserError.of("--encoder", f"'{modality}' is one of several; choose from: {choices}")
    if trunk and trunk not in trunks:
        hint = did_you_mean(trunk, trunks) if len(trunks) > 1 else f" Write {modality} alone."
        raise UserError.of("--encoder", f"there is no '{trunk}/{modality}'.{hint}")
    chosen = trunks[trunk] if trunk else next(iter(trunks.values()))
    return chosen.encoders[modality]


def _under(names: tuple[str, ...], model: nn.Module, network: nn.Module) -> list[str]:
    """Return those of the names in ``model`` that are of ``network``, as it calls them."""
    (root,) = (name for name, module in model.named_modules() if module is network)
    return [n.removeprefix(f"{root}.") for n in names if n.startswith(f"{root}.")]


def _notes(model: JointModel, encoder: nn.Module, network: nn.Module) -> tuple[str, ...]:
    notes = []
    inside = {id(parameter) for parameter in network.parameters()}
    others = [name for name, p in encoder.named_parameters() if id(p) not in inside]
    if others:
        notes.append(
            f"The run's encoder also has {', '.join(others)} before this network, which reads "
            "three channels; they are left out."
        )
    if not isinstance(model.body, FeatureSharing | Soft):
        notes.append(
            f"In the run, {type(model.body).__name__} changes what passes between the layers of "
            "its encoders; alone they yield other features."
        )
    return tuple(notes)


def network_of(encoder: nn.Module) -> nn.Module:
    """Return what in an encoder has the names of another library, or the encoder itself."""
    foreign = isinstance(encoder, Torchvision | DilatedResNet | Timm | HuggingFace)
    return encoder.network if foreign else encoder


def describe_network(encoder: nn.Module, spec: Spec, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``network`` and ``input`` of a description; nothing for jlrun's own encoders.

    Args:
        encoder: of the run.
        spec: what it takes.
        node: of its config.
    """
    name = str(node.get("name"))
    match encoder, spec:
        case Torchvision() | DilatedResNet(), ImageSpec():
            is_dilated = isinstance(encoder, DilatedResNet)
            size = (spec.height, spec.width) if is_dilated else encoder.size
            network = {
                "library": "torchvision",
                "name": name,
                "options": _options(encoder.network, name, size),
                "small_stem": _has_small_stem(encoder.network),
                "dilated": is_dilated,
            }
            return {"network": network, "input": _input(size, encoder, spec)}
        case Timm(), ImageSpec():
            options = {} if encoder.img_size is None else {"img_size": encoder.img_size}
            network = {"library": "timm", "name": name, "options": options}
            return {"network": network, "input": _input(encoder.size, encoder.input, spec)}
        case HuggingFace(), TextSpec():
            config = encoder.network.config
            options = {"encoder_only": config.is_encoder_decoder, "pool": encoder.pooling}
            return {"network": {"library": "transformers", "name": name, **options}}
    return {}


class _Scaled(Protocol):
    """Rescaling from the data set's normalisation to that of pretraining."""

    @property
    def scale(self) -> Tensor: ...

    @property
    def shift(self) -> Tensor: ...


def _input(size: tuple[int, int], encoder: _Scaled, spec: ImageSpec) -> dict[str, Any]:
    """Return the size, and the mean and std that the network itself is used to.

    Those of a (p − m) / s + b: an encoder with pretrained weights turns the data set's
    normalisation into theirs.
    """
    if spec.channels not in COLOUR_CHANNELS:
        return {"size": list(size), "mean": None, "std": None, "normalisation": "data set"}
    m, s = (torch.tensor(v or (d,)).double() for v, d in ((spec.mean, 0.0), (spec.std, 1.0)))
    a, b = encoder.scale.flatten().double(), encoder.shift.flatten().double()
    mean, std = m - b * s / a, s / a
    own = bool((a == 1).all() and (b == 0).all())
    return {
        "size": list(size),
        "mean": mean.expand(3).tolist(),
        "std": std.expand(3).tolist(),
        "normalisation": "data set" if own else "pretraining",
    }


def _options(network: nn.Module, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return the arguments with which torchvision builds the same network."""
    if name.startswith("vit_"):
        return {"image_size": size[0]}
    if name.startswith("maxvit_"):
        return {"input_size": list(size)}
    if getattr(network, "aux_logits", None) is False:
        return {"aux_logits": False, "init_weights": False}
    return {}


def _has_small_stem(network: nn.Module) -> bool:
    stem = getattr(network, "conv1", None)
    return isinstance(stem, nn.Conv2d) and isinstance(
        getattr(network, "maxpool", None), nn.Identity
    )
