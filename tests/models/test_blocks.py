"""Blocks of a body: every parameter in one, by depth, whatever the encoders and the sharing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.models.blocks import blocks
from jlrun.models.encoders import CNN, MLP, Torchvision, ViT
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Gated, Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import CrossStitch, Hard, MMoE, Sharing, Soft
from jlrun.models.trunk import Trunk
from tests.toy import ToyEncoder, hard_model

SPEC = ImageSpec(3, 32, 32, (0.5,) * 3, (0.5,) * 3)
PREFIX = "body.trunk.encoders.image."


def alone(encoder: Encoder) -> JointModel:
    head = {"digit": Linear(encoder.out_features, 3)}
    return hard_model({"image": encoder}, Single({"image": encoder.out_features}), head)


ENCODERS: Mapping[str, tuple[Callable[[], Encoder], int]] = {
    "cnn": (lambda: CNN(SPEC, channels=[4, 6], hidden=8), 3),
    "mlp": (lambda: MLP(SPEC, hidden=[8, 5]), 2),
    "vit": (lambda: ViT(SPEC, patch=8, width=24, depth=3, heads=3), 4),  # patches, and three blocks
    "resnet18": (lambda: Torchvision(SPEC, "resnet18"), 9),  # the stem, and eight residual blocks
}


def body_of(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters() if name.startswith("body.")]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_parameter_is_in_one_block(name: str) -> None:
    make, depth = ENCODERS[name]
    model = alone(make())
    found = blocks(model)
    assert sorted(n for block in found for n in block) == sorted(body_of(model))
    assert len(found) == depth
    assert all(found)


def test_residual_blocks_of_a_resnet_with_their_normalisation() -> None:
    first, *residual = blocks(alone(Torchvision(SPEC, "resnet18")))
    stem = ("conv1.weight", "bn1.weight", "bn1.bias")
    assert first == [f"{PREFIX}network.{name}" for name in stem]
    places = [(stage, block) for stage in range(1, 5) for block in range(2)]
    for (stage, block), names in zip(places, residual, strict=True):
        start = f"{PREFIX}network.layer{stage}.{block}."
        assert all(name.startswith(start) for name in names)


def test_tokens_are_in_the_first_block_of_a_transformer_and_the_last_norm_in_its_last() -> None:
    found = blocks(alone(ViT(SPEC, patch=8, width=24, depth=3, heads=3)))
    tokens = {f"{PREFIX}cls_token", f"{PREFIX}pos_embed"}
    assert tokens <= set(found[0])
    assert f"{PREFIX}norm.weight" in found[-1]
    for i, names in enumerate(found[1:]):
        inner = [name for name in names if ".norm." not in name]
        assert all(f".{i}." in name for name in inner)


def test_blocks_stand_in_the_order_of_the_forward_pass() -> None:
    """Each block's gradient reaches it only through those above it."""
    encoder = CNN(SPEC, channels=[4, 6], hidden=8)
    order: list[str] = []
    for name, module in encoder.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(lambda *_, name=name: order.append(name))
    encoder(torch.randn(2, 3, 32, 32))
    found = [block[0].removeprefix(PREFIX).rpartition(".")[0] for block in blocks(alone(encoder))]
    assert found == order


def test_encoders_of_unlike_depth_end_together_below_the_fusion() -> None:
    encoders: dict[str, Encoder] = {"deep": MLP(SPEC, hidden=[8, 7, 6]), "flat": ToyEncoder()}
    widths = {name: encoder.out_features for name, encoder in encoders.items()}
    fusion = Gated(widths)
    found = blocks(hard_model(encoders, fusion, {"digit": Linear(fusion.out_features, 3)}))
    assert len(found) == 4
    kinds = [
        {name.split(".")[2:4][-1] if ".encoders." in name else "fusion" for name in b}
        for b in found
    ]
    assert kinds == [{"deep"}, {"deep"}, {"deep", "flat"}, {"fusion"}]


def test_a_norm_before_the_first_layer_belongs_to_it() -> None:
    class Normed(Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 6), nn.Linear(6, 6))
            self.out_features = 6

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    found = blocks(alone(Normed()))
    assert [[name.removeprefix(f"{PREFIX}layers.") for name in block] for block in found] == [
        ["0.weight", "0.bias", "1.weight", "1.bias"],
        ["2.weight", "2.bias"],
    ]


TASKS = ("digit", "parity")


def shared(make: Callable[..., Sharing]) -> JointModel:
    def trunk() -> Trunk:
        encoder = CNN(SPEC, channels=[4, 6], hidden=8)
        return Trunk({"image": encoder}, Single({"image": encoder.out_features}))

    body = make(trunk, TASKS)
    return JointModel(body, {t: body.build_head(lambda width: Linear(width, 2)) for t in TASKS})


@pytest.mark.parametrize("sharing", [Hard, Soft, CrossStitch, MMoE])
def test_parts_of_single_tasks_are_in_blocks_too(sharing: Callable[..., Sharing]) -> None:
    model = shared(sharing)
    found = blocks(model)
    assert sorted(n for block in found for n in block) == sorted(body_of(model))
    # What is above the encoders is one block more; trunks side by side are of one depth.
    above = [name for name in body_of(model) if ".encoders." not in name]
    assert len(found) == 3 + bool(above)
    assert not above or found[-1] == above
