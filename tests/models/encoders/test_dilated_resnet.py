"""A dilated ResNet is the ResNet itself, seen at more places."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import DilatedResNet


def randomised(network: nn.Module) -> nn.Module:
    """Give BatchNorm statistics that differ between channels."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(module.weight, 0.5, 1.0)
    return network.eval()


def maps_of(network: models.ResNet, x: torch.Tensor) -> torch.Tensor:
    layers = [child for name, child in network.named_children() if name not in ("avgpool", "fc")]
    return nn.Sequential(*layers)(x)


@pytest.mark.parametrize("size", [(64, 96), (33, 50)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@torch.no_grad()
def test_every_fourth_value_is_what_the_network_without_dilation_gives(
    name: str, size: tuple[int, int]
) -> None:
    plain = randomised(models.get_model(name))
    encoder = DilatedResNet(ImageSpec(3, *size, (), ()), name)  # pyright: ignore[reportArgumentType]
    encoder.network.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 3, *size)
    maps = encoder.eval()(x)
    assert maps.shape == (2, encoder.out_features, *(-(-side // 8) for side in size))
    torch.testing.assert_close(maps[:, :, ::4, ::4], maps_of(plain, x), rtol=1e-3, atol=1e-4)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def test_resnet50_is_dilated_as_in_torchvision() -> None:
    library = randomised(models.resnet50(replace_stride_with_dilation=[False, True, True]))
    encoder = DilatedResNet(ImageSpec(3, 40, 48, (), ()))
    encoder.network.load_state_dict(library.state_dict(), strict=False)
    x = torch.randn(1, 3, 40, 48)
    torch.testing.assert_close(encoder.eval()(x), maps_of(library, x), rtol=1e-3, atol=1e-4)  # pyright: ignore[reportArgumentType]


def test_published_weights_fit_and_pixels_are_normalised_for_them(tmp_path: Path) -> None:
    plain = models.resnet18()
    file = tmp_path / "weights.safetensors"
    save_file(plain.state_dict(), file)
    spec = ImageSpec(3, 16, 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    encoder = DilatedResNet(spec, "resnet18", weights=str(file))
    assert torch.equal(encoder.network.layer4[1].conv2.weight, plain.layer4[1].conv2.weight)
    assert encoder.scale.flatten().tolist() == pytest.approx(
        [0.5 / s for s in (0.229, 0.224, 0.225)]
    )


def test_one_image_trains_its_own_statistics_unless_its_map_is_a_pixel() -> None:
    encoder = DilatedResNet(ImageSpec(3, 16, 16, (), ()), "resnet18").train()
    mean = encoder.network.bn1.running_mean
    assert mean is not None
    encoder(torch.randn(1, 3, 8, 8))
    assert not mean.any()
    encoder(torch.randn(1, 3, 16, 16))
    assert mean.any()
