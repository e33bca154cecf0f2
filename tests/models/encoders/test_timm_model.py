"""timm's models as encoders give what timm gives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.models.encoders import Timm

timm = pytest.importorskip("timm")

GRAY = ImageSpec(1, 8, 8, (0.5,), (0.25,))
COLOUR = ImageSpec(3, 32, 40, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


@pytest.mark.parametrize(
    ("name", "resize", "tokens", "width"),
    [
        ("convnext_atto", None, (1, 320), 320),
        ("mobilenetv3_small_050", 64, (4, 288), 1024),
        ("vit_tiny_patch16_224", 32, (5, 192), 192),
        ("swin_tiny_patch4_window7_224", None, (49, 768), 768),  # its maps have channels last
        ("vgg11", 64, (4, 512), 4096),  # reads its maps by place
        ("levit_128s", None, (16, 384), 384),
    ],
)
@torch.no_grad()
def test_tokens_of_every_form(
    name: str, resize: int | None, tokens: tuple[int, int], width: int
) -> None:
    encoder = Timm(GRAY, name, resize=resize).eval()
    x = torch.randn(2, 1, 8, 8)
    found = encoder.encode_tokens(x)
    assert found.values.shape == (2, *tokens)
    assert encoder.token_features == tokens[1]
    assert encoder.out_features == width
    torch.testing.assert_close(encoder.pool(found), encoder(x))


@torch.no_grad()
def test_weights_of_a_file_see_pixels_as_in_pretraining(tmp_path: Path) -> None:
    model = timm.create_model("resnet18", num_classes=7).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    encoder = Timm(COLOUR, "resnet18", weights=str(tmp_path / "a.safetensors")).eval()
    pixels = torch.rand(2, 3, 32, 40)

    def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    cfg = model.pretrained_cfg
    expected = model.forward_head(
        model.forward_features(normalised(cfg["mean"], cfg["std"])), pre_logits=True
    )
    found = encoder(normalised(COLOUR.mean, COLOUR.std))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save_file({"nothing": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="does not fit resnet18"):
        Timm(COLOUR, "resnet18", weights=str(tmp_path / "a.safetensors"))


def test_what_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"backbone\.image\.name: 'resnet81' is not a model of"):
        Timm(COLOUR, "resnet81")
    with pytest.raises(UserError, match=r"backbone\.image\.resize: inception_v3 can't take"):
        Timm(COLOUR, "inception_v3")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"pip install 'jlrun\[timm\]'"):
        Timm(COLOUR, "resnet18")
