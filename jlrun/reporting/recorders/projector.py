"""Files of TensorBoard's embedding projector: vectors, their labels, and the list of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from jlrun.files.atomic import write_bytes, write_text

CONFIG, FOLDER = "projector_config.pbtxt", "embeddings"


def write_embedding(
    folder: Path, name: str, vectors: Tensor, labels: Mapping[str, Sequence[str]]
) -> None:
    """Write vectors where TensorBoard finds them.

    Args:
        folder: of the event file.
        name: of the embedding, also of its files.
        vectors: ``(N, D)``.
        labels: title -> one for each vector.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    values = vectors.detach().cpu().numpy().astype("<f4")
    write_bytes(place / f"{name}.bytes", np.ascontiguousarray(values).tobytes())
    if labels:
        write_text(place / f"{name}.tsv", _table(labels))
    write_text(folder / CONFIG, _entry(name, values.shape, bool(labels)))


def _table(labels: Mapping[str, Sequence[str]]) -> str:
    """Return tab-separated lines; of several columns the first line has the titles."""
    rows = [*zip(*labels.values(), strict=True)]
    titled = [tuple(labels), *rows] if len(labels) > 1 else rows
    return "".join("\t".join(map(_cell, row)) + "\n" for row in titled)


def _cell(text: str) -> str:
    return " ".join(str(text).split()) or "-"


def _entry(name: str, shape: Sequence[int], labelled: bool) -> str:
    fields = [f"tensor_name: {json.dumps(name)}"]
    fields += [f"tensor_shape: {size}" for size in shape]
    fields.append(f'tensor_path: "{FOLDER}/{name}.bytes"')
    if labelled:
        fields.append(f'metadata_path: "{FOLDER}/{name}.tsv"')
    return "embeddings {\n" + "".join(f"  {field}\n" for field in fields) + "}\n"
