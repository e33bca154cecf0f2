from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.models.encoders import Torchvision
from jlrun.models.encoders.architectures import working_size


def spec(channels: int = 3, side: int = 32) -> ImageSpec:
    return ImageSpec(channels, side, side, (0.4,) * channels, (0.2,) * channels)


def published(name: str, path: Path, **options: object) -> tuple[nn.Module, Path]:
    """Save weights of a whole torchvision model, as its site offers them."""
    torch.manual_seed(1)
    network = models.get_model(name, weights=None, **options).eval()
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return network, path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_give_torchvisions_own_features_on_imagenet_pixels(
    tmp_path: Path, suffix: str
) -> None:
    network, path = published("resnet18", tmp_path / f"weights{suffix}")
    encoder = Torchvision(spec(), "resnet18", weights=str(path)).eval()
    network.fc = nn.Identity()
    pixels = torch.rand(2, 3, 32, 32)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    expected = network((pixels - mean) / std)
    torch.testing.assert_close(encoder((pixels - 0.4) / 0.2), expected, rtol=1e-4, atol=1e-4)


def test_gray_images_are_repeated_to_three_channels() -> None:
    torch.manual_seed(0)
    encoder = Torchvision(spec(1), "shufflenet_v2_x0_5").eval()
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(encoder(x), encoder.network(x.expand(-1, 3, -1, -1)))


def test_other_channels_pass_a_learned_convolution() -> None:
    encoder = Torchvision(spec(5), "shufflenet_v2_x0_5")
    assert encoder(torch.randn(2, 5, 32, 32)).shape == (2, 1024)
    assert isinstance(encoder.adapt, nn.Conv2d)


@pytest.mark.parametrize(
    ("name", "side", "stem", "pretrained", "stride"),
    [
        ("resnet18", 32, "auto", False, (1, 1)),
        ("resnet18", 64, "auto", False, (1, 1)),
        ("resnet18", 65, "auto", False, (2, 2)),
        ("resnet18", 32, "auto", True, (2, 2)),
        ("resnet18", 32, "imagenet", False, (2, 2)),
        ("resnet18", 128, "small", False, (1, 1)),
    ],
)
def test_stem(
    tmp_path: Path, name: str, side: int, stem: str, pretrained: bool, stride: tuple[int, int]
) -> None:
    weights = str(published(name, tmp_path / "w.pth")[1]) if pretrained else None
    network = Torchvision(spec(3, side), name, weights, stem=stem).network  # pyright: ignore
    assert network.conv1.stride == stride  # pyright: ignore
    assert isinstance(network.maxpool, nn.Identity) == (stride == (1, 1))


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("resnet18", (8, 8), (8, 8)),
        ("convnext_tiny", (8, 16), (32, 64)),
        ("convnext_tiny", (40, 33), (40, 33)),
        ("vit_b_16", (28, 20), (32, 32)),
        ("vit_b_16", (224, 224), (224, 224)),
        ("maxvit_t", (32, 32), (224, 224)),
        ("swin_t", (28, 28), (32, 32)),
    ],
)
def test_working_size(name: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert working_size(name, size) == expected


def test_resize_resizes() -> None:
    encoder = Torchvision(spec(1, 8), "shufflenet_v2_x0_5", resize=40).eval()
    assert encoder.size == (40, 40)
    large = Torchvision(spec(1, 40), "shufflenet_v2_x0_5").eval()
    large.load_state_dict(encoder.state_dict())
    flat = torch.full((1, 1, 1, 1), 0.7)
    torch.testing.assert_close(
        encoder(flat.expand(1, 1, 8, 8)), large(flat.expand(1, 1, 40, 40)), rtol=1e-4, atol=1e-4
    )


def test_one_training_row_leaves_the_running_statistics_alone() -> None:
    encoder = Torchvision(spec(), "resnet18").train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder(torch.randn(1, 3, 32, 32))
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())
    assert all(module.training for module in encoder.modules())
    encoder(torch.randn(2, 3, 32, 32))
    assert not torch.equal(
        before["network.bn1.running_mean"], encoder.state_dict()["network.bn1.running_mean"]
    )


def test_position_embeddings_are_interpolated(tmp_path: Path) -> None:
    small, path = published("vit_b_32", tmp_path / "vit.pth", image_size=64)
    encoder = Torchvision(spec(3, 96), "vit_b_32", weights=str(path))
    table = encoder.state_dict()["network.encoder.pos_embedding"]
    assert table.shape == (1, 1 + 3 * 3, 768)
    original = small.state_dict()["encoder.pos_embedding"]
    # the class token and, with aligned corners, the corner patches stay as they were
    for new, old in ((0, 0), (1, 1), (3, 2), (7, 3), (9, 4)):
        torch.testing.assert_close(table[0, new], original[0, old], rtol=1e-4, atol=1e-6)


def test_old_names_of_densenet_are_understood(tmp_path: Path) -> None:
    network, _ = published("densenet121", tmp_path / "ignored.pth")
    state = {
        k.replace("norm1", "norm.1").replace("conv2.", "conv.2."): v
        for k, v in network.state_dict().items()
        if "num_batches" not in k
    }
    assert any("norm.1" in key for key in state)
    torch.save(state, tmp_path / "old.pth")
    encoder = Torchvision(spec(), "densenet121", weights=str(tmp_path / "old.pth"))
    key = "features.denseblock1.denselayer1.norm1.weight"
    assert torch.equal(encoder.network.state_dict()[key], network.state_dict()[key])


def error(*args: object, **kwargs: object) -> str:
    with pytest.raises(UserError) as caught:
        Torchvision(spec(), *args, **kwargs)  # pyright: ignore
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_wrong_name() -> None:
    message = error("resnet81")
    assert message.startswith("backbone.image.name: 'resnet81'")
    assert "Did you mean 'resnet18'?" in message


def test_detection_models_are_no_encoders() -> None:
    assert "not a torchvision classification model" in error("fasterrcnn_resnet50_fpn")


def test_small_stem_of_another_model() -> None:
    assert error("vgg11", stem="small").startswith("backbone.image.stem:")


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    assert f"there is no file '{path}'" in error("resnet18", weights=str(path))


def test_file_that_is_no_model(tmp_path: Path) -> None:
    for name in ("broken.safetensors", "broken.pth"):
        (tmp_path / name).write_bytes(b"not a model")
        assert "can't be read" in error("resnet18", weights=str(tmp_path / name))
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    assert "no named tensors" in error("resnet18", weights=str(tmp_path / "list.pth"))


class Trap:
    """What a malicious file pickles: code that runs when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))  # pyright: ignore


def test_nothing_pickled_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    assert "can't be read" in error("resnet18", weights=str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_model(tmp_path: Path) -> None:
    # all tensors of resnet18 have a fitting one in resnet34: only the surplus tells
    _, path = published("resnet34", tmp_path / "w.pth")
    message = error("resnet18", weights=str(path))
    assert "96 unknown: layer1.2.conv1.weight" in message
    assert "Nothing was loaded" in message


def test_weights_of_another_shape(tmp_path: Path) -> None:
    _, path = published("resnet18", tmp_path / "w.pth")
    message = error("resnet18", weights=str(path), stem="small")
    assert "119 of its 120 tensors fit" in message
    assert "conv1.weight is (64, 3, 7, 7) in the file, (64, 3, 3, 3) in the model" in message
    assert "stem=imagenet" in message


def test_wrong_name_of_published_weights() -> None:
    assert "Did you mean 'DEFAULT'?" in error("resnet18", weights="DEFAUL")


def test_download_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    message = error("resnet18", weights="DEFAULT")
    assert "network is unreachable" in message
    assert f"at '{tmp_path}/hub/checkpoints/resnet18-f37072fd.pth'" in message


def test_weights_already_downloaded_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    network, _ = published("resnet18", folder / "resnet18-f37072fd.pth")
    encoder = Torchvision(spec(), "resnet18", weights="DEFAULT")
    found = encoder.network.state_dict()["conv1.weight"]
    assert torch.equal(found, network.state_dict()["conv1.weight"])
