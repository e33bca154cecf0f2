"""Prepared models: on the device, whole or a shard on each rank, as they are trained."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.models.module_state import batch_norms
from jlrun.models.recomputed_activations import recompute_activations
from jlrun.models.repeated_blocks import repeated_blocks
from jlrun.models.sharing.base import FeatureSharing
from jlrun.models.sharing.mixstyle import MixStyle
from jlrun.models.trunk import Encoded, Trunk
from jlrun.ranks.shards import shard
from jlrun.training.alike import check_alike

KEY = "engine.parallel"


def prepare_to_train(model: JointModel, engine: Engine) -> JointModel:
    """Move a model that will be trained to the engine's device, in place.

    Raises:
        UserError: if it is to be sharded and can't be.
    """
    if engine.recompute:
        recompute_activations(model)
    if not engine.sharded:
        return engine.prepare(model)
    shard_trunk(model, engine)
    return model


def shard_trunk(model: JointModel, engine: Engine) -> None:
    """Divide encoders and fusion over the ranks; what tasks have of their own stays whole.

    Each repeated block is gathered by itself, and what is not in one with the trunk.

    Raises:
        UserError: if tasks share the model in a way that does not pass through the whole trunk, or
            layers compute their weights.
    """
    body = model.body
    if not isinstance(body, FeatureSharing) or isinstance(body, MixStyle):
        name = type(body).__name__
        message = f"fsdp shards one trunk that tasks pass as a whole, and {name} does not do that"
        raise UserError.of(KEY, f"{message}: use sharing=hard, mmoe or ple, or {KEY}=ddp")
    trunk = body.trunk
    _check_plain(trunk)
    check_alike(model, engine.world, "before they are sharded")
    _move_others(model, trunk, engine.device)
    _let_hooks_find_outputs()
    reduced = engine.precision == "bf16" and not batch_norms(trunk)
    shard(
        [*repeated_blocks(trunk), trunk],
        engine.world,
        engine.device,
        torch.bfloat16 if reduced else None,
        engine.offload and engine.device.type != "cpu",
    )
    trunk.sharded = True


def _check_plain(trunk: Trunk) -> None:
    for module in trunk.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and getattr(module, name) is not parameter:
                why = f"{type(module).__name__} computes its {name} of parts that fsdp can't gather"
                raise UserError.of(KEY, f"{why} (finetune=lora does that): use {KEY}=ddp")


def _move_others(model: nn.Module, trunk: Trunk, device: torch.device) -> None:
    """Move all parameters and buffers outside the trunk, which may be too large as a whole."""
    inside = set(map(id, trunk.modules()))
    for module in model.modules():
        if id(module) not in inside:
            module._apply(lambda x: x.to(device), recurse=False)


@cache
def _let_hooks_find_outputs() -> None:
    """Let PyTorch find the tensors in a trunk's output, from which the backward pass begins."""
    from torch.utils._pytree import register_dataclass

    register_dataclass(Encoded, field_names=["features", "fused"], drop_field_names=[])
