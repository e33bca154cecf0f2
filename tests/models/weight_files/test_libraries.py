"""Networks of other libraries give the same outputs from their files as they gave themselves.

The libraries are the oracles: networks of random weights are built from their configs, saved as
they save them, loaded into torchvision's network (or ours) and compared on random images.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import ResNet, VisionTransformer
from torchvision.models.resnet import BasicBlock, Bottleneck

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import ViT
from jlrun.models.weight_files import LoadReport, load_weights

WIDTH, DEPTH, HEADS, HIDDEN, PATCH, SIDE = 24, 2, 3, 96, 8, 32


def randomised(network: nn.Module) -> nn.Module:
    """Give every layer weights and statistics of its own, large enough to matter."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.normal_(std=0.3)
    return network.eval()


def images(side: int = SIDE) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


def torchvision_vit(side: int = SIDE) -> nn.Module:
    torch.manual_seed(0)
    network = VisionTransformer(side, PATCH, DEPTH, HEADS, WIDTH, HIDDEN)
    network.heads = nn.Sequential()
    return network.eval()


def our_vit(side: int = SIDE, pool: Any = "token") -> nn.Module:
    torch.manual_seed(0)
    return ViT(ImageSpec(3, side, side, (), ()), PATCH, WIDTH, DEPTH, HEADS, pool=pool).eval()


def timm_vit(**options: Any) -> Any:
    timm = pytest.importorskip("timm")
    sizes = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH}
    heads = {"depth": DEPTH, "num_heads": HEADS, "num_classes": 5}
    return randomised(timm.models.vision_transformer.VisionTransformer(**sizes | heads | options))


def hugging_face(name: str, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, name.split("For")[0].removesuffix("Model") + "Config")
    return randomised(getattr(transformers, name)(config(**options)))


def hugging_face_vit(name: str = "ViTModel", **options: Any) -> Any:
    sizes: dict[str, Any] = {
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    return hugging_face(name, **sizes | options)


def resnet(kind: str) -> nn.Module:
    torch.manual_seed(0)
    network = ResNet(BasicBlock, [1, 2, 1, 1]) if kind == "basic" else ResNet(Bottleneck, [1] * 4)
    network.fc = nn.Sequential()  # pyright: ignore[reportAttributeAccessIssue]
    return network.eval()


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01


VITS = pytest.mark.parametrize("make", [torchvision_vit, our_vit])


@VITS
@torch.no_grad()
def test_timm_vit(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    theirs, ours = timm_vit(), make()
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    report = load_weights(ours, tmp_path / "timm.pth", "here")
    assert_same(ours(images()), theirs.forward_features(images())[:, 0])
    assert {s.name for s in report.skipped} == {"head.weight", "head.bias"}
    assert not report.missing


@VITS
@pytest.mark.parametrize("how", ["saved", "in memory"])
@pytest.mark.parametrize("name", ["ViTModel", "ViTForImageClassification"])
@torch.no_grad()
def test_hugging_face_vit(
    make: Callable[[], nn.Module], name: str, how: str, tmp_path: Path
) -> None:
    theirs, ours = hugging_face_vit(name), make()
    if how == "saved":
        theirs.save_pretrained(tmp_path)
        report = load_weights(ours, tmp_path, "here")
    else:
        save_file(theirs.state_dict(), tmp_path / "memory.safetensors")
        report = load_weights(ours, tmp_path / "memory.safetensors", "here")
    body = theirs if name == "ViTModel" else theirs.vit
    assert_same(ours(images()), body(images()).last_hidden_state[:, 0])
    assert not report.missing
    assert {s.name.split(".")[0] for s in report.skipped} == (
        {"pooler"} if name == "ViTModel" else {"classifier"}
    )
    assert any("1e-12" in note for note in report.notes)


@torch.no_grad()
def test_a_file_of_hugging_face_loads_into_its_own_model(tmp_path: Path) -> None:
    theirs, ours = hugging_face_vit(), hugging_face_vit()
    for parameter in ours.parameters():
        parameter.zero_()
    theirs.save_pretrained(tmp_path)
    report = load_weights(ours, tmp_path / "model.safetensors", "here")
    assert_same(ours(images()).last_hidden_state, theirs(images()).last_hidden_state)
    assert not report.missing
    assert not report.skipped
    assert not report.notes


@torch.no_grad()
def test_what_outputs_may_differ_by_is_noted(tmp_path: Path) -> None:
    theirs = hugging_face_vit(hidden_act="gelu_new", layer_norm_eps=1e-3)
    theirs.save_pretrained(tmp_path)
    notes = load_weights(torchvision_vit(), tmp_path, "here").notes
    assert any("0.001" in note and "1e-06" in note for note in notes)
    assert any("gelu_new" in note for note in notes)


@torch.no_grad()
def test_torchvision_vit_loads_into_ours(tmp_path: Path) -> None:
    theirs, ours = randomised(torchvision_vit()), our_vit()
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    report = load_weights(ours, tmp_path / "vit.pth", "here")
    assert_same(ours(images()), theirs(images()))
    assert report.loaded == tuple(ours.state_dict())
    assert report == LoadReport(report.loaded, (), ())


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("name", ["ResNetModel", "ResNetForImageClassification"])
@torch.no_grad()
def test_hugging_face_resnet(kind: str, name: str, tmp_path: Path) -> None:
    ours = resnet(kind)
    depths = [1, 2, 1, 1] if kind == "basic" else [1] * 4
    widths = [64, 128, 256, 512] if kind == "basic" else [256, 512, 1024, 2048]
    theirs = hugging_face(name, depths=depths, hidden_sizes=widths, layer_type=kind)
    theirs.save_pretrained(tmp_path)
    report = load_weights(ours, tmp_path / "model.safetensors", "here")
    body = theirs if name == "ResNetModel" else theirs.resnet
    expected = body(images(64)).pooler_output.flatten(1)
    found = ours(images(64))
    torch.testing.assert_close(found / expected.std(), expected / expected.std(), rtol=0, atol=1e-4)
    assert not report.missing
    assert all(s.name.startswith("classifier.1.") for s in report.skipped)


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@torch.no_grad()
def test_timm_resnet(kind: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    ours = resnet(kind)
    layers = [1, 2, 1, 1] if kind == "basic" else [1] * 4
    block = getattr(timm.models.resnet, {"basic": "BasicBlock"}.get(kind, "Bottleneck"))
    theirs = randomised(timm.models.resnet.ResNet(block, layers))
    torch.save({"state_dict": theirs.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pth.tar.pt")
    report = load_weights(ours, tmp_path / "checkpoint.pth.tar.pt", "here")
    expected = theirs.forward_head(theirs.forward_features(images(64)), pre_logits=True)  # pyright: ignore
    torch.testing.assert_close(
        ours(images(64)) / expected.std(), expected / expected.std(), rtol=0, atol=1e-4
    )
    assert {s.name for s in report.skipped} == {"fc.weight", "fc.bias"}
    assert not report.missing


@torch.no_grad()
def test_a_class_token_without_a_position_has_none(tmp_path: Path) -> None:
    theirs, ours = timm_vit(no_embed_class=True), torchvision_vit()
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    load_weights(ours, tmp_path / "timm.pth", "here")
    assert_same(ours(images()), theirs.forward_features(images())[:, 0])


@torch.no_grad()
def test_a_mean_of_patches_needs_no_class_token(tmp_path: Path) -> None:
    theirs = timm_vit(class_token=False, global_pool="avg", fc_norm=False)
    ours = our_vit(pool="mean")
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    load_weights(ours, tmp_path / "timm.pth", "here")
    assert_same(ours(images()), theirs.forward_features(images()).mean(dim=1))


@VITS
@torch.no_grad()
def test_positions_are_interpolated_as_torchvision_does(
    make: Callable[[int], nn.Module], tmp_path: Path
) -> None:
    from torchvision.models.vision_transformer import interpolate_embeddings

    theirs = randomised(torchvision_vit(SIDE))
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    ours, oracle = make(48), torchvision_vit(48)
    report = load_weights(ours, tmp_path / "vit.pth", "here")
    oracle.load_state_dict(interpolate_embeddings(48, PATCH, theirs.state_dict()))  # pyright: ignore
    assert_same(ours(images(48)), oracle(images(48)))
    assert not report.missing
    assert any("positions (1, 17, 24) of the file made (1, 37, 24)" in n for n in report.notes)
