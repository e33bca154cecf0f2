"""Python that loads an exported encoder into the library that its network is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WEIGHTS = "model.safetensors"  # in an exported folder


def loading_code(network: Mapping[str, Any]) -> str:
    """Return Python that builds the network of a description and loads the weights into it."""
    match network["library"]:
        case "timm":
            lines = _timm(network)
        case "transformers":
            lines = _transformers(network)
        case _:
            lines = _torchvision(network)
    return "\n".join(lines) + "\n"


def _torchvision(network: Mapping[str, Any]) -> list[str]:
    options = "".join(f", {name}={value!r}" for name, value in network["options"].items())
    lines = [
        *(["from torch import nn"] if network["small_stem"] else []),
        "from safetensors.torch import load_file",
        "from torchvision import models",
        "",
        f"network = models.get_model({json.dumps(network['name'])}, weights=None{options})",
    ]
    if network["small_stem"]:
        lines += [
            "network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)",
            "network.maxpool = nn.Identity()",
        ]
    last = "only the classifier's last layer is missing: the encoder has none"
    return [*lines, *_loading(last)]


def _timm(network: Mapping[str, Any]) -> list[str]:
    options = "".join(f", {name}={value!r}" for name, value in network["options"].items())
    return [
        "import timm",
        "from safetensors.torch import load_file",
        "",
        f"network = timm.create_model({json.dumps(network['name'])}, num_classes=0{options})",
        *_loading("nothing is missing: without classes it has no classifier"),
    ]


def _transformers(network: Mapping[str, Any]) -> list[str]:
    part = ".get_encoder()" if network["encoder_only"] else ""
    return [
        "from safetensors.torch import load_file",
        "from transformers import AutoConfig, AutoModel",
        "",
        f"config = AutoConfig.from_pretrained({json.dumps(network['name'])})",
        f"network = AutoModel.from_config(config){part}",
        *_loading("only a pooler may be missing: the encoder has none"),
    ]


def _loading(comment: str) -> list[str]:
    return [
        f'found = network.load_state_dict(load_file("{WEIGHTS}"), strict=False)',
        f"print(found)  # {comment}",
    ]
