"""Build the parts of a run that need no data: engine, model and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from jlrun.config import trust
from jlrun.config.backbones import backbone_of
from jlrun.config.build import build, builds, takes_class_names
from jlrun.config.schema import Settings
from jlrun.config.slots import (
    ENCODER,
    FUSION,
    HEAD,
    SHARING,
    TERM,
)
from jlrun.data.specs import Spec
from jlrun.engine import Engine, find_device
from jlrun.errors import UserError
from jlrun.files.limits import bound_files
from jlrun.models.blocks import blocks
from jlrun.models.fusions import Single, TokenFusion
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk, token_features
from jlrun.objective.terms.cross_modal import CrossModal, add_spaces
from jlrun.tasks import TaskSpec


def make_engine(settings: Settings) -> Engine:
    """Return the engine that the config describes; its memory budget bounds files from now on.

    Raises:
        UserError: if this machine lacks the device, or the device the precision.
    """
    node = settings.engine
    bound_files(node.memory_budget)
    device = find_device(node.device)
    if node.precision == "fp16" and device.type == "cpu":
        raise UserError.of(
            "engine.precision", "fp16 needs a GPU; on a CPU use engine.precision=bf16 or fp32"
        )
    return Engine(
        device=device,
        precision=node.precision,
        channels_last=node.channels_last,
        compile=node.compile,
        accumulate=node.accumulate,
        clip_norm=node.clip_norm,
        memory_budget=node.memory_budget,
        workers=node.workers,
    )


def make_model(
    settings: Settings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
    shares: bool = True,
) -> JointModel:
    """Build a model over ``modalities`` with a head for each entry of ``heads``.

    Tasks share it as the config says, or, without ``shares``, all of it but the heads. Terms
    between modalities add their shared spaces.
    """

    def make_trunk() -> Trunk:
        encoders = {
            m: build(backbone_of(settings.backbone, m), ENCODER, specs[m]) for m in modalities
        }
        widths = {m: encoder.out_features for m, encoder in encoders.items()}
        if len(modalities) == 1:
            return Trunk(encoders, Single(widths))
        if attends(settings.fusion) and not pooled:
            widths = {m: token_features(encoder) for m, encoder in encoders.items()}
        return Trunk(encoders, build(settings.fusion, FUSION, widths), pooled)

    pooled = shares and works_between_stages(settings.sharing)
    names = tuple(heads)
    body = (
        build(settings.sharing, SHARING, make_trunk, names) if shares else Hard(make_trunk, names)
    )

    node = head_node(settings)

    def head(spec: TaskSpec) -> torch.nn.Module:
        names = spec.classes if takes_class_names(node) else ()
        return body.build_head(lambda width: build(node, HEAD, width, spec.num_outputs, *names))

    model = JointModel(body, {name: head(spec) for name, spec in heads.items()})
    between = (node for node in settings.terms.values() if builds(node, CrossModal))
    add_spaces(model, (build(node, TERM) for node in between))
    return model


def attends(fusion: Mapping[str, Any]) -> bool:
    """Return whether a fusion takes tokens."""
    return builds(fusion, TokenFusion)


def works_between_stages(sharing: Mapping[str, Any]) -> bool:
    """Return whether a sharing architecture acts between stages, leaving a fusion no tokens."""
    return getattr(trust.find(str(sharing["_target_"])), "between_stages", False)


def head_node(settings: Settings) -> dict[str, Any]:
    """Return what every task's head is built from."""
    return settings.heads if settings.zero_shot is None else settings.zero_shot.head


def body_blocks(
    settings: Settings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
) -> list[list[str]]:
    """Return the blocks of the model's body (`jlrun.models.blocks`), parts of tasks included."""
    untrained = settings.model_copy(update={"backbone": without_weights(settings.backbone)})
    return blocks(make_model(untrained, specs, modalities, heads))


def without_weights(backbone: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return encoder nodes that read no pretrained weights."""
    return {
        modality: {key: None if key == "weights" else value for key, value in node.items()}
        for modality, node in backbone.items()
    }
