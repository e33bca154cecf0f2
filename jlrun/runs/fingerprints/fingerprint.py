"""The rows of a run's splits, as they lie in its directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from jlrun.config.nodes import reserved_keys
from jlrun.data.file_checks import at_base
from jlrun.data.file_contents import FileContents
from jlrun.data.rows import FileRows, Rows
from jlrun.data.splits import Splits
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import UserError
from jlrun.files.atomic import replace
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.fingerprints.row_keys import content_keys, joined, key_of

KINDS = ("train", "val", "test", "pool")
_PLACES = ("root", "path")  # a node of jlrun with neither makes its data itself


@dataclass(frozen=True)
class SplitPrint:
    """The rows of a split, in their order.

    Attributes:
        keys: what is in each row, uint64 ``(N,)``.
        labels: of each row, uint64 ``(N,)``; targets that are real numbers don't count.
        places: index in the data set, or line in the table, int64 ``(N,)``.
        noun: what a row is called: file, line or row.
        names: paths of files, relative to their common folder; empty: rows have none.
    """

    keys: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    noun: str
    names: Sequence[str]

    def name(self, row: int) -> str:
        """Return what to call a row."""
        return self.names[row] if self.names else f"{self.noun} {self.places[row]}"


@dataclass(frozen=True)
class DataPrint:
    """A data set: names of the classes of each task, and the splits in use."""

    classes: Mapping[str, Sequence[str]]
    splits: Mapping[str, SplitPrint]


Fingerprint = Mapping[str, DataPrint]  # by stream


def fingerprint_of(
    nodes: Mapping[str, Mapping[str, Any]], splits: Mapping[str, Splits], with_pool: bool
) -> Fingerprint:
    """Return the fingerprint of data sets by stream.

    Args:
        nodes: stream -> the node it was built from.
        splits: stream -> its splits.
        with_pool: whether rows beyond the training rows are learned from without their labels.
    """
    contents = FileContents()
    found = {}
    for stream, each in splits.items():
        views = {kind: getattr(each, kind) for kind in (KINDS if with_pool else KINDS[:3])}
        origin = {k: v for k, v in nodes[stream].items() if k not in reserved_keys()}
        found[stream] = DataPrint(each.classes, _split_prints(views, origin, contents))
    contents.save()
    return found


def digests(fingerprint: Fingerprint) -> dict[str, str]:
    """Return stream -> what changes with any of its rows, labels or splits."""
    found = {}
    for stream, data in fingerprint.items():
        classes = sorted((task, tuple(names)) for task, names in data.classes.items())
        digest = hashlib.sha256(repr(classes).encode())
        for kind in KINDS[:3]:
            split = data.splits[kind]
            digest.update(split.keys.tobytes() + split.labels.tobytes())
        found[stream] = digest.hexdigest()[:16]
    return found


def _split_prints(
    views: Mapping[str, Rows], origin: Mapping[str, Any], contents: FileContents
) -> dict[str, SplitPrint]:
    made = str(origin.get("_target_", "")).startswith("jlrun.") and not set(origin) & {*_PLACES}
    bases, prints = list[Rows](), {}
    for kind, view in views.items():
        base, indices = at_base(view)
        if not any(base is known for known in bases):
            bases.append(base)
        number = next(i for i, known in enumerate(bases) if base is known)
        # What jlrun makes depends on its node alone: there is no file that could change.
        keys = None if made else content_keys(base, indices, contents)
        if keys is None:
            salt = key_of(json.dumps([number, origin], sort_keys=True, default=str).encode())
            salted = np.full(len(indices), salt, np.uint64)
            keys = joined(salted, indices.numpy().astype(np.uint64))
        prints[kind] = SplitPrint(keys, _labels(view), *_names(base, indices))
    return prints


def _labels(rows: Rows) -> np.ndarray:
    found = np.zeros(len(rows), np.uint64)
    if not len(rows):
        return found
    for task in sorted(rows.targets):
        targets = rows.targets[task]
        if targets.ndim > 2 or targets.shape[1:] == (0,) or not _are_classes(targets):
            continue
        for column in targets.reshape(len(targets), -1).long().T.numpy():
            found = joined(found, column.astype(np.uint64))
        if task in rows.labelled:
            found = joined(found, rows.labelled[task].numpy().astype(np.uint64))
    return found


def _are_classes(targets: Tensor) -> bool:
    return not targets.is_floating_point() or bool((targets == targets.round()).all())


def _names(base: Rows, indices: Tensor) -> tuple[np.ndarray, str, Sequence[str]]:
    """Return places, what a row is called, and names of files."""
    places = indices.numpy().astype(np.int64)
    if isinstance(base, TableRows):
        return base.store.places()[base.rows[places]].astype(np.int64), "line", ()
    if isinstance(base, FileRows) and base.files is not None:
        paths = [os.fspath(base.files(row)[0]) for row in places.tolist()]
        folder = os.path.commonpath([os.path.dirname(path) for path in paths] or ["."])
        return places, "file", [os.path.relpath(path, folder or os.curdir) for path in paths]
    return places, "row", ()


def write(fingerprint: Fingerprint, directory: Path) -> None:
    """Write ``fingerprint.safetensors`` into a run directory, complete or not at all."""
    from safetensors.numpy import save

    arrays, described = {}, {}
    for stream, data in fingerprint.items():
        described[stream] = {"classes": {task: list(n) for task, n in data.classes.items()}}
        described[stream]["nouns"] = {kind: split.noun for kind, split in data.splits.items()}
        for kind, split in data.splits.items():
            names = os.fsencode("\0".join(split.names))
            arrays |= {
                f"{stream}/{kind}/keys": split.keys,
                f"{stream}/{kind}/labels": split.labels,
                f"{stream}/{kind}/places": split.places,
                f"{stream}/{kind}/names": np.frombuffer(names, np.uint8),
            }
    replace(RunDirectory(directory).fingerprint, save(arrays, {"data": json.dumps(described)}))


def read(directory: Path) -> Fingerprint | None:
    """Return the fingerprint of a run; None if there is none, as in a run of an older version.

    Raises:
        UserError: if it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = RunDirectory(directory).fingerprint
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="np") as opened:
            described = json.loads(opened.metadata()["data"])
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return {stream: _data(stream, entry, arrays) for stream, entry in described.items()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "copy it from where the run was made; without the file changed data goes unnoticed"
        raise UserError.of(str(file), f"is damaged ({error}); {fix}") from error


def without_names(directory: Path, folder: Path) -> None:
    """Write the fingerprint of the run in ``directory`` into ``folder``, without names of files.

    Raises:
        UserError: if it is damaged.
    """
    found = read(directory) or {}
    nameless = {
        stream: replace_fields(
            data, splits={k: replace_fields(s, names=()) for k, s in data.splits.items()}
        )
        for stream, data in found.items()
    }
    write(nameless, folder)


def _data(stream: str, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> DataPrint:
    splits = {}
    for kind, noun in entry["nouns"].items():
        names = os.fsdecode(arrays[f"{stream}/{kind}/names"].tobytes())
        splits[kind] = SplitPrint(
            *(arrays[f"{stream}/{kind}/{what}"] for what in ("keys", "labels", "places")),
            noun=noun,
            names=names.split("\0") if names else (),
        )
    return DataPrint(entry["classes"], splits)
