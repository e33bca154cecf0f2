"""Leakage check: weights that a run starts from must not have learned its unseen classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import read_json, reading
from jlrun.files.bounded_text import parse_json
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.strategies.zero_shot.classes import ClassSplit

_DEPTH = 3  # <run>/checkpoints/best/model.safetensors


def check_leakage(weights: Path, split: ClassSplit, where: str) -> None:
    """Check that the weights at ``weights`` have not learned an unseen class.

    Classes are the same if they have the same name. Those that were unseen there do not count.

    Args:
        weights: a run, a file or folder of it, or what `jlrun export` wrote.
        split: which classes are seen.
        where: config path of it, for errors.

    Raises:
        UserError: if they have. Files of other libraries do not list their classes.
    """
    path = weights.expanduser()
    learned = _learned_classes(path.resolve()) if path.exists() else []
    shared = [name for name in split.unseen_names if name in learned]
    if shared:
        raise UserError.of(
            where,
            f"'{weights}' has learned {', '.join(shared)}, which zero_shot.unseen lists as unseen; "
            "name other classes, or weights without them",
        )


def learned_classes(run: Path, heads: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the classes that a run's heads were trained for, without those unseen in it.

    Args:
        run: its directory.
        heads: those of its ``model.json``.
    """
    unseen = ((read_result(run) or {}).get("zero_shot") or {}).get("unseen_classes", [])
    names = (name for head in heads.values() for name in head["classes"])
    return [name for name in dict.fromkeys(names) if name not in unseen]


def _learned_classes(weights: Path) -> list[str]:
    for folder, content in _descriptions(weights):
        with reading(RunDirectory(folder).model):
            if "learned_classes" in content:
                return list(content["learned_classes"])
            if "heads" in content:
                return learned_classes(folder, content["heads"])
    return []


def _descriptions(weights: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield jlrun's descriptions of weights: in the file itself, and in its folder and above."""
    if weights.suffix == ".safetensors" and weights.is_file():
        yield weights.parent, _metadata(weights)
    for folder in (weights, *weights.parents[:_DEPTH]):
        file = RunDirectory(folder).model
        if file.is_file():
            yield folder, read_json(file)


def _metadata(file: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            return parse_json((opened.metadata() or {}).get("jlrun", "{}"))
    except (SafetensorError, OSError, ValueError):
        return {}  # whoever reads the weights reports what is wrong
