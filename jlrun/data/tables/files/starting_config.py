"""Starting config: an experiment on a table as YAML, with a comment on each inferred value."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from jlrun.data.tables.files.kinds import TARGET_KINDS, Target
from jlrun.data.tables.files.outline import COLUMN_KINDS, Outline
from jlrun.data.tables.files.request import Request

_PLAIN = re.compile(r"[A-Za-z_][\w ./-]*\w|[A-Za-z]", re.ASCII)
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none", "nan"}
# Kinds that the cells of a kind may also have.
_ALSO = {
    "number": "category, if the numbers stand for names",
    "category": "text, if the words within a cell matter",
    "text": "category, if cells are names",
    "date": "category, if only the same day matters",
    "ignore": "number, category, date or text, to learn from it",
}
_TARGET_ALSO = {
    "multiclass": "ordinal, if the classes are numbers in an order; multilabel, if cells are lists",
    "binary": "multiclass, to score both values alike",
    "regression": "ordinal or multiclass, for a few values",
    "ordinal": "multiclass, without an order; regression, as a number",
    "multilabel": "multiclass, if a whole cell is one class",
}
_FIRST_KEYS = ("delimiter", "encoding", "decimal", "thousands")

_END = """\
  # group_by: speaker          # rows with the same cell here stay in one split
  # time_by: date              # train on the past, test on what came later
  # folds: 5                   # cross-validation instead of one test split
  # test_path: /path/to/test.csv  # a separate file; val_path likewise
  val_fraction: 0.2            # of the rows for training
  test_fraction: 0.2           # of all rows
  on_error: fail               # or skip: train without the rows that can't be used

# epochs: 30                   # chosen by the rows, as batch_size and patience
# baselines: false             # without the models that the joint one must beat
"""


def starting_config(request: Request, found: Outline) -> str:
    """Return the YAML of an experiment on a table, with its absolute path."""
    return "\n".join(_lines(request, found)) + "\n"


def _lines(request: Request, found: Outline) -> Iterator[str]:
    modalities = found.modalities(join_texts=True)
    mode = "multimodal" if len(modalities) > 1 else "multitask"
    yield "# @package _global_"
    yield f"# {request.path.name}: {', '.join(modalities)} -> {', '.join(found.targets)}"
    yield "defaults:"
    yield f"  - override /mode: {mode}  # {_why_mode(modalities)}"
    yield "  - override /dataset: table"
    yield ""
    yield "dataset:"
    yield f"  path: {_text(os.path.abspath(request.path))}"
    if request.files_root is not None:
        yield f"  files_root: {_text(os.path.abspath(request.folder))}"
    yield "  # What to predict, as task: its column and kind. Kinds of targets:"
    yield f"  # {', '.join(TARGET_KINDS)}"
    yield "  targets:"
    for task, target in found.targets.items():
        yield from _target(task, target, found)
    yield f"  # Kinds of columns: {', '.join(COLUMN_KINDS)}"
    yield "  columns:"
    for name, kind in found.columns.items():
        also = _ALSO.get(kind)
        yield from _comments(name, found, f"or {also}" if also else "")
        yield f"    {_quoted(name)}: {kind}"
    yield from _reading(found)
    yield from _sizes(found)
    yield from _divisions(found)
    yield _END.rstrip()


def _why_mode(modalities: Mapping[str, object]) -> str:
    names = ", ".join(modalities)
    several = len(modalities) > 1
    return f"several modalities: {names}" if several else f"one modality, {names}"


def _target(task: str, target: Target, found: Outline) -> Iterator[str]:
    values = {**target.to_plain(), "column": target.column}
    entry = ", ".join(f"{key}: {_text(str(value))}" for key, value in values.items())
    yield from _comments(target.column, found, f"or {_TARGET_ALSO[target.kind]}")
    yield f"    {_quoted(task)}: {{{entry}}}"


def _comments(column: str, found: Outline, also: str) -> Iterator[str]:
    """Yield why a column has its kind, how its cells are read, and what else it may be."""
    for text in (found.reasons[column], *found.notes.get(column, ()), also):
        if text:
            yield f"    # {' '.join(text.split())}"


def _reading(found: Outline) -> Iterator[str]:
    """Yield how the file is written, where that is not the default."""
    reading, usual = found.reading, type(found.reading)()
    values = {key: getattr(reading, key) for key in _FIRST_KEYS}
    values = {key: value for key, value in values.items() if value != getattr(usual, key)}
    if not values and reading.missing == usual.missing and not reading.columns:
        return
    yield "  reading:               # how the cells are written"
    for key, value in values.items():
        yield f"    {key}: {json.dumps(value)}"
    if reading.missing != usual.missing:
        yield f"    missing: {json.dumps(reading.missing, ensure_ascii=False)}"
    if reading.columns:
        yield "    columns:             # decimal, thousands, unit, dates and missing of a column"
    for name, own in reading.columns.items():
        yield f"      {_quoted(name)}: {json.dumps(own.to_plain(), ensure_ascii=False)}"


def _divisions(found: Outline) -> Iterator[str]:
    if found.split_column is not None:
        yield f"  split_column: {_text(found.split_column)}"
    elif found.split_proposal is not None:
        why = f"its cells are {found.reasons[found.split_proposal].partition(':')[0]}"
        yield f"  # split_column: {_text(found.split_proposal)}  # {why}: to divide the rows"
    else:
        yield "  # split_column: split        # a column with train, val or test"
    if found.group_by is not None:
        yield f"  group_by: {_text(found.group_by)}"
    else:
        yield "  # group_by: speaker          # rows with the same cell here stay in one split"


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
    listed = ", ".join(f"{key}: {value}" for key, value in values.items())
    return f"  {name}: {{{listed}}}  # measured on the first files"


def _quoted(text: str) -> str:
    """Return text as YAML reads it back as a key, also within a flow mapping."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _RESERVED
    return text if plain else json.dumps(text, ensure_ascii=False)


def _text(text: str) -> str:
    """Return text as a value, of which ``${`` is no interpolation."""
    return _quoted(text.replace("${", "\\${"))
