"""torchvision's classification models by name, made to take small images and to yield features."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import nn

from jlrun.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torchvision.models import ResNet

Stem = Literal["imagenet", "small"]

LARGEST_SIDE_OF_SMALL_STEM = 64
_RESNETS = ("resnet", "resnext", "wide_resnet")

# Models whose published smallest input is only the training size.
_SMALLEST_SIDE = {"swin": 32}
# MaxViT cuts each of its maps into 7×7 windows, which fits multiples of 224 only.
_MULTIPLE_OF = {"maxvit": 224}


def check_name(name: str) -> None:
    """Check that torchvision has a classification model called ``name``.

    Raises:
        UserError: if not, with the nearest name.
    """
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise UserError.of(
            "backbone.image.name",
            f"'{name}' is not a torchvision classification model.{did_you_mean(name, names)}",
        )


def working_size(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size ``(height, width)``, near to or above ``size``, that the model can work on.

    Vision transformers take squares of whole patches; other models have a smallest side.
    """
    from torchvision import models

    family = name.split("_")[0]
    multiple = _MULTIPLE_OF.get(family) or (int(name.split("_")[2]) if family == "vit" else 0)
    if multiple:
        side = multiple * ceil(max(size) / multiple)
        return side, side
    weights = cast(Any, models.get_model_weights(name))
    smallest = _SMALLEST_SIDE.get(family) or max(weights.DEFAULT.meta["min_size"])
    enlarge = max(1.0, smallest / min(size))
    return round(size[0] * enlarge), round(size[1] * enlarge)


def choose_stem(
    name: str, size: tuple[int, int], stem: Literal["auto", "imagenet", "small"], pretrained: bool
) -> Stem:
    """Return ``stem`` itself, or the stem that ``auto`` selects for images of this size.

    Raises:
        UserError: if ``stem`` is ``small`` and the model is not a ResNet.
    """
    is_resnet = name.startswith(_RESNETS)
    if stem == "auto":
        small = is_resnet and max(size) <= LARGEST_SIDE_OF_SMALL_STEM and not pretrained
        return "small" if small else "imagenet"
    if stem == "small" and not is_resnet:
        raise UserError.of(
            "backbone.image.stem",
            f"'small' is a stem of ResNets, but the model is '{name}'. Use auto or imagenet.",
        )
    return stem


def build_features(name: str, size: tuple[int, int], stem: Stem) -> tuple[nn.Module, int]:
    """Return a freshly initialised model without its classifier, and the width of its features.

    The model maps ``(B, 3, *size)`` to ``(B, width)``. Names of its parameters are torchvision's.
    """
    from torchvision import models

    network = models.get_model(name, weights=None, **_options(name, size))
    if stem == "small":
        _shrink_stem(cast(models.ResNet, network))
    width = _remove_last_layer(network)
    if isinstance(network, models.MNASNet):
        network = _plain_mnasnet(network)
    return network, width


def resnet_parts(network: nn.Module) -> list[tuple[nn.Module, int]]:
    """Return a ResNet's stem, four stages and pooling, each with the channels it yields.

    Empty for other models.
    """
    from torchvision.models import ResNet

    if not isinstance(network, ResNet):
        return []
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    end = nn.Sequential(network.avgpool, nn.Flatten(), network.fc)
    widths = [_last_channels(part) for part in (stem, *stages)]
    return [*zip((stem, *stages), widths, strict=True), (end, widths[-1])]


def _last_channels(part: nn.Module) -> int:
    return [m.num_features for m in part.modules() if isinstance(m, nn.BatchNorm2d)][-1]


def _options(name: str, size: tuple[int, int]) -> dict[str, Any]:
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": size[0]}
    if name.startswith("maxvit_"):
        return {"input_size": size}
    return {}


def _shrink_stem(network: ResNet) -> None:
    """Replace a ResNet's 7×7 stride-2 convolution and pooling by a 3×3 convolution.

    The stem of He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2,
    for 32×32 images.
    """
    network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    cast(Any, network).maxpool = nn.Identity()


def _remove_last_layer(network: nn.Module) -> int:
    """Replace the layer that yields class scores by the identity; return the width it read."""
    classifier, _ = list(network.named_children())[-1]
    path, last = [
        (path, module)
        for path, module in network.named_modules()
        if path.split(".")[0] == classifier and isinstance(module, nn.Linear | nn.Conv2d)
    ][-1]
    network.set_submodule(path, nn.Identity())
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels


def _plain_mnasnet(network: Any) -> nn.Module:
    """Return the same layers: MNASNet itself refuses weights that carry no version number."""
    return nn.Sequential(
        OrderedDict(
            layers=network.layers,
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=network.classifier,
        )
    )
