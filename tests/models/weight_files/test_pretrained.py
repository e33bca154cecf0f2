"""An encoder takes files of any library, but only whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, resnet18

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.models.encoders import Torchvision
from jlrun.models.encoders.pretrained import load_pretrained
from jlrun.models.lora import add_lora
from jlrun.models.weight_files import load_weights

SPEC = ImageSpec(3, 32, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@torch.no_grad()
def test_a_folder_of_hugging_face_is_torchvisions_encoder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"
    )
    theirs = transformers.ResNetForImageClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    encoder = Torchvision(SPEC, "resnet18", weights=str(tmp_path)).eval()
    x = torch.randn(2, 3, 32, 32)
    expected = theirs.resnet(x).pooler_output.flatten(1)
    torch.testing.assert_close(encoder(x), expected, rtol=1e-4, atol=1e-4)
    assert encoder.load_report is not None
    assert len(encoder.load_report.loaded) == 120


def test_momentum_contrast_fits_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state: dict[str, Tensor] = {"module.queue": torch.zeros(8, 16)}
    for part in ("encoder_q", "encoder_k"):
        network = resnet18(num_classes=16)
        network.fc = nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 16))  # pyright: ignore
        state |= {f"module.{part}.{n}": t for n, t in network.state_dict().items()}
    torch.save({"arch": "resnet18", "state_dict": state}, tmp_path / "moco.pth")
    encoder = Torchvision(SPEC, "resnet18", weights=str(tmp_path / "moco.pth"))
    found = encoder.network.state_dict()["layer3.1.conv2.weight"]
    assert torch.equal(found, state["module.encoder_q.layer3.1.conv2.weight"])


def masked_autoencoder() -> dict[str, Tensor]:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    vit = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3, num_classes=0
    )
    return vit.state_dict() | {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_pos_embed": torch.zeros(1, 17, 8),
        "decoder_embed.weight": torch.zeros(8, 24),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(24, 8),
        "decoder_norm.weight": torch.zeros(8),
        "decoder_pred.weight": torch.zeros(192, 8),
    }


def small_vit() -> nn.Module:
    network = VisionTransformer(32, 8, 1, 3, 24, 96)
    network.heads = nn.Sequential(nn.Identity())
    return network


def test_the_decoder_of_a_masked_autoencoder_is_left_out(tmp_path: Path) -> None:
    state = masked_autoencoder()
    torch.save({"model": state}, tmp_path / "mae.pth")
    network = small_vit()
    load_pretrained(network, "vit", str(tmp_path / "mae.pth"))
    found = network.state_dict()["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"]
    assert torch.equal(found, state["blocks.0.attn.qkv.weight"])


def test_a_file_without_the_last_norm_is_refused(tmp_path: Path) -> None:
    """As after fine-tuning with mean pooling: the class token was never trained."""
    state = masked_autoencoder()
    state["fc_norm.weight"], state["fc_norm.bias"] = (
        state.pop("norm.weight"),
        state.pop("norm.bias"),
    )
    torch.save({"model": state}, tmp_path / "mae.pth")
    network = small_vit()
    before = network.state_dict()["conv_proj.weight"].clone()
    with pytest.raises(UserError) as caught:
        load_pretrained(network, "vit", str(tmp_path / "mae.pth"))
    message = str(caught.value)
    assert "2 missing: encoder.ln.weight, encoder.ln.bias" in message
    assert "2 unknown: fc_norm.weight, fc_norm.bias" in message
    assert torch.equal(network.state_dict()["conv_proj.weight"], before)


def test_layers_the_network_does_not_have_are_refused(tmp_path: Path) -> None:
    """Layer scale changes what a network computes; without it the weights mean something else."""
    state = masked_autoencoder() | {"blocks.0.ls1.gamma": torch.ones(24)}
    torch.save(state, tmp_path / "vit.pth")
    with pytest.raises(UserError, match=r"1 unknown: blocks\.0\.ls1\.gamma"):
        load_pretrained(small_vit(), "vit", str(tmp_path / "vit.pth"))


def test_adapters_that_were_not_merged_are_noted(tmp_path: Path) -> None:
    adapted, plain = small_vit(), small_vit()
    add_lora(adapted, pattern="")
    torch.save(adapted.state_dict(), tmp_path / "lora.pth")
    notes = load_weights(plain, tmp_path / "lora.pth", "here").notes
    assert notes == (
        "the file has low-rank adapters, the model none: merge them into the weights first",
    )
