"""README of an export: what the files are, and the code that loads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jlrun.runs.exporting.contents import Export

WEIGHTS = "model.safetensors"  # in an exported folder
_PLAIN_LOADING = (
    "## Train it further in jlrun",
    "What has the same name and shape in the new model is loaded, and the run lists it:",
    "```\njlrun mode=transfer source.weights=FOLDER\n```",
    "## In Python",
    f'```python\nfrom safetensors.torch import load_file\n\ntensors = load_file("{WEIGHTS}")\n```',
)


def readme(export: Export) -> str:
    """Return Markdown."""
    about, run = export.description, export.description["run"]
    what = "model" if about["kind"] == "model" else f"{about['modality']} encoder"
    parts = [
        f"# {run['name']}: {what}",
        f"{_origin(about)} {WEIGHTS} holds {len(export.tensors)} tensors with "
        f"{export.num_values():,} values; model.json describes their inputs and outputs.",
        *export.notes,
        *(_of_model(about) if about["kind"] == "model" else _of_encoder(about)),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(about: Mapping[str, Any]) -> str:
    run = about["run"]
    text = f"Trained by jlrun {about['jlrun']} (mode {run['mode']}, seed {run['seed']})."
    selected = run["selected"]
    if selected:
        text += f" Selected: phase {selected['phase']}, epoch {selected['epoch']}."
    if about["merged_adapters"]:
        text += " Its low-rank adapters are folded into the weights."
    return text


def _of_model(about: Mapping[str, Any]) -> list[str]:
    rows = [f"- {m}: {_input(spec)}" for m, spec in about["modalities"].items()]
    heads = [f"- {name}: {_classes(head)}" for name, head in about["heads"].items()]
    return [
        "## Inputs",
        "\n".join(rows),
        "## Heads (`heads.<name>.…`; everything else is `body.…`)",
        "\n".join(heads),
        *_PLAIN_LOADING,
    ]


def _of_encoder(about: Mapping[str, Any]) -> list[str]:
    if "network" not in about:
        return [
            f"It takes {_input(about['spec'])}, and yields {about['out_features']} features.",
            *_PLAIN_LOADING,
        ]
    return [
        "## In Python",
        f"```python\n{loading_code(about['network'])}```",
        _feeding(about),
        "## Train it further in jlrun",
        f"```\njlrun mode=transfer {' '.join(_overrides(about))}\n```",
    ]


def _feeding(about: Mapping[str, Any]) -> str:
    if "input" not in about:
        pool = "first one" if about["network"]["pool"] == "cls" else "mean"
        return (
            "In evaluation mode it takes the ids and the attention mask of its own tokenizer. The "
            f"{about['out_features']} features are the {pool} of its last hidden states. "
            f"In the run it read {_input(about['spec'])}."
        )
    text = f"In evaluation mode it takes images of {_size(about['input']['size'])} pixels"
    mean, std = about["input"]["mean"], about["input"]["std"]
    if mean is not None:
        text += (
            f" and three channels (gray ones repeated), in [0, 1], from which {_numbers(mean)} is "
            f"subtracted before a division by {_numbers(std)}"
        )
    text += f"; without the classifier's last layer it yields {about['out_features']} features."
    if about["network"].get("dilated"):
        text += " Stages 3 and 4 had stride 1 and dilation 2 and 4, and there was no pooling."
    return text


def _overrides(about: Mapping[str, Any]) -> list[str]:
    """Return what makes a run of jlrun begin with the encoder, normalised as it was."""
    network, path = about["network"], f"backbone.{about['modality']}"
    options = {"transformers": "huggingface"}
    option = options.get(network["library"], network["library"])
    if network.get("dilated"):
        option = "dilated_resnet"
    # Weights of a backbone are taken for such as were trained with the mean and std of its library.
    is_used = about.get("input", {}).get("normalisation") == "pretraining"
    key = f"{path}.weights" if is_used else "source.weights"
    return [
        f"backbone/{about['modality']}={option}",
        f"{path}.name={network['name']}",
        *([f"{path}.stem=small"] if network.get("small_stem") else []),
        f"{key}=FOLDER",
    ]


def _size(size: list[int]) -> str:
    return " × ".join(map(str, size))


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def _input(spec: Mapping[str, Any]) -> str:
    match spec["kind"]:
        case "image":
            size = _size([spec["channels"], spec["height"], spec["width"]])
            text = f"images of {size}, in [0, 1]"
            if spec["mean"]:
                text += f", minus {_numbers(spec['mean'])}, divided by {_numbers(spec['std'])}"
            return text
        case "audio":
            return f"{spec['num_samples']} samples at {spec['sample_rate']} Hz, in [-1, 1]"
        case "tabular":
            return _cells(spec)
        case "series":
            return (
                f"series of {spec['length']} × {spec['channels']} numbers, minus "
                f"{_numbers(spec['mean'])}, divided by {_numbers(spec['std'])}, not a number "
                "where one is missing"
            )
        case _:
            return f"{spec['length']} token ids; the vocabulary is in model.json"


def _cells(spec: Mapping[str, Any]) -> str:
    parts = []
    if spec["numbers"]:
        parts.append(
            f"the numbers {', '.join(spec['numbers'])}, minus {_numbers(spec['mean'])}, divided by "
            f"{_numbers(spec['std'])}, not a number where one is missing"
        )
    if spec["categories"]:
        parts.append(
            f"the categories {', '.join(spec['categories'])}, each as the place of its level in "
            "model.json from 1, and 0 where it is missing or not there"
        )
    return f"the cells of a row: {'; then '.join(parts)}"


def _classes(head: Mapping[str, Any]) -> str:
    kind = head["kind"]["_target_"].rpartition(".")[2].lower()
    return f"{kind}, {', '.join(head['classes'])}" if head["classes"] else kind


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
