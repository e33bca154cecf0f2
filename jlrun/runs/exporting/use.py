"""Code that runs an exported program, for the model card: it is complete, with inputs of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def use_of(description: Mapping[str, Any]) -> list[str]:
    """Return paragraphs of a model card.

    Args:
        description: content of ``preprocessing.json``.
    """
    lines = _onnx(description) if description["format"] == "onnx" else _torch(description)
    inputs = [
        f"{name}, {entry['tensor']['type']} {_shape(entry)}: " + "; ".join(entry["before"])
        for name, entry in description["inputs"].items()
    ]
    outputs = [
        f"{task}, {entry['tensor']['type']} {_shape(entry)}: {entry['meaning']}"
        + (
            f" ({', '.join(map(str, entry['classes'][:12]))}{_more(entry)})"
            if entry["classes"]
            else ""
        )
        + f"; decision: {entry['decision']}"
        for task, entry in description["outputs"].items()
    ]
    return [
        "\n".join(["```python", *lines, "```"]),
        "Inputs:\n\n" + "\n".join(f"- {line}" for line in [*inputs, *_masks(description)]),
        "Outputs:\n\n" + "\n".join(f"- {line}" for line in outputs),
    ]


def _more(entry: Mapping[str, Any]) -> str:
    return ", …" if len(entry["classes"]) > 12 else ""


def _masks(description: Mapping[str, Any]) -> list[str]:
    return [
        f"{entry['tensor']['name'] if description['format'] == 'onnx' else f'present[{name!r}]'}, "
        f"bool (batch): {entry['meaning']}; each row has at least one modality"
        for name, entry in description["masks"].items()
    ]


def _shape(entry: Mapping[str, Any]) -> str:
    return f"({', '.join(map(str, entry['tensor']['shape']))})"


def _onnx(description: Mapping[str, Any]) -> list[str]:
    feeds = [
        f"    {name!r}: np.zeros({_numbers(entry)}, np.{entry['tensor']['type']}),"
        for name, entry in description["inputs"].items()
    ] + [
        f"    {entry['tensor']['name']!r}: np.ones(7, bool),"
        for entry in description["masks"].values()
    ]
    names = [entry["tensor"]["name"] for entry in description["outputs"].values()]
    return [
        "import numpy as np",
        "import onnxruntime",
        "",
        'session = onnxruntime.InferenceSession("model.onnx")',
        "inputs = {",
        *feeds,
        "}",
        f"predictions = dict(zip({names!r}, session.run({names!r}, inputs)))",
    ]


def _torch(description: Mapping[str, Any]) -> list[str]:
    inputs = [
        f"    {name!r}: torch.zeros({_numbers(entry)}, dtype=torch.{entry['tensor']['type']}),"
        for name, entry in description["inputs"].items()
    ]
    masks = ", ".join(f"{name!r}: torch.ones(7).bool()" for name in description["masks"])
    return [
        "import torch",
        "",
        'program = torch.export.load("model.pt2").module()',
        "inputs = {",
        *inputs,
        "}",
        "with torch.no_grad():",
        f"    predictions = program(inputs, {{{masks}}})",
    ]


def _numbers(entry: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape of seven rows."""
    _, *row = entry["tensor"]["shape"]
    return (7, *row)
