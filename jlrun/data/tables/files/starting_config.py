"""Starting config: an experiment on a table as YAML, with a comment on each inferred value."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from jlrun.data.tables.files.outline import Outline

_PLAIN = re.compile(r"[A-Za-z_][\w ./-]*\w|[A-Za-z]")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none", "nan"}

_END = """\
  # split_column: split        # a column with train, val or test
  # group_by: speaker          # rows with the same cell here stay in one split
  # time_by: date              # train on the past, test on what came later
  # folds: 5                   # cross-validation instead of one test split
  # test_path: test.csv        # or a separate file; val_path likewise
  val_fraction: 0.2            # of the rows for training
  test_fraction: 0.2           # of all rows
  on_error: fail               # or skip: train without the rows that can't be used

# epochs: 30                   # chosen by the rows, as batch_size and patience
# baselines: false             # without the models that the joint one must beat
"""


def starting_config(path: Path, found: Outline) -> str:
    """Return the YAML of an experiment on the table at ``path``."""
    return "\n".join(_lines(path, found)) + "\n"


def _lines(path: Path, found: Outline) -> Iterator[str]:
    modalities = found.modalities(join_texts=True)
    mode = "multimodal" if len(modalities) > 1 else "multitask"
    yield "# @package _global_"
    yield f"# {path.name}: {', '.join(modalities)} -> {', '.join(found.targets)}"
    yield "defaults:"
    yield f"  - override /mode: {mode}"
    yield "  - override /dataset: table"
    yield ""
    yield "dataset:"
    yield f"  path: {_quoted(os.fspath(path))}"
    yield "  targets:               # task: its column; multiclass, binary, regression, multilabel"
    for task, target in found.targets.items():
        target_entry = f"{{column: {_quoted(target.column)}, kind: {target.kind}}}"
        yield f"    {_quoted(task)}: {target_entry}  # {found.reasons[target.column]}"
    yield "  columns:               # image, audio, series, text, number, category, ignore"
    yield from _columns(found)
    if found.reading.thousands is not None:
        yield f"  reading: {{thousands: {json.dumps(found.reading.thousands)}}}"
    yield from _sizes(found)
    yield _END.rstrip()


def _columns(found: Outline) -> Iterator[str]:
    entries = {_quoted(name): kind for name, kind in found.columns.items()}
    width = max(len(name) + len(kind) for name, kind in entries.items()) + 2
    for (name, kind), column in zip(entries.items(), found.columns, strict=True):
        yield f"    {f'{name}: {kind}':<{width}}  # {found.reasons[column]}"


def _sizes(found: Outline) -> Iterator[str]:
    kinds = set(found.columns.values())
    if "image" in kinds:
        yield _section("image", {"size": found.image.size, "channels": found.image.channels})
    if "audio" in kinds:
        yield _section("audio", {"rate": found.audio.rate, "seconds": found.audio.seconds})
    if "series" in kinds:
        settings = {"length": found.series.length, "channels": found.series.channels}
        yield _section("series", settings)


def _section(name: str, values: Mapping[str, object]) -> str:
    return f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"


def _quoted(text: str) -> str:
    """Return text as YAML reads it back, also within a flow mapping."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _RESERVED
    return text if plain else json.dumps(text, ensure_ascii=False)
