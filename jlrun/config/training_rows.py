"""Number of rows that a table or folder of images trains on, before any row is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.data.tables.files.outline import Outline


def num_training_rows(node: Mapping[str, Any], found: Outline) -> int:
    """Return the rows that are left for training after splits, ``classes``, ``shots``, ``limit``.

    Exact but for what only loading shows: bad rows, groups of unequal size, rounding within strata,
    rows of one time. Of folds that go forward in time, all of which are to be run, it is the last.

    Args:
        node: of the table, whose values may still be wrong.
        found: its outline.
    """
    from jlrun.data.tables.files.levels import SPLIT_NAMES

    splits = found.levels.get(found.split_column or "", {})
    sizes = Counter[str]()
    for name, count in splits.items():
        sizes[SPLIT_NAMES.get(name.strip().lower(), "none")] += count
    for split in ("test", "val"):
        sizes[split] += bool(node.get(f"{split}_path"))  # however many
    sizes["train"] = sizes["train"] or found.num_rows
    return _rows_left(node, sizes, _class_counts(found), found.num_rows)


def num_training_images(node: Mapping[str, Any]) -> int | None:
    """Return the same of a folder of images; None where none has a class.

    Raises:
        UserError: if the folder is laid out in another way.
    """
    from jlrun.data.datasets.image_layout import num_images

    found = num_images(Path(str(node.get("root"))).expanduser())
    counts = found.get("train", {})
    if not sum(counts.values()):
        return None
    sizes = {split: sum(classes.values()) for split, classes in found.items()}
    return _rows_left(node, Counter(sizes), counts, sizes["train"])


def _rows_left(
    node: Mapping[str, Any], sizes: Counter[str], counts: Mapping[str, int], num_rows: int
) -> int:
    """Return the rows that are left for training.

    Args:
        node: of the data set.
        sizes: split -> its rows; all of those to be divided are for training.
        counts: class -> its rows; empty: there are none.
        num_rows: among which the classes were counted.
    """
    share = _share_of_classes(node.get("classes"), counts, num_rows)
    rows = _rows_to_train_on(node, sizes) * sum(share.values())
    shots, limit = _number(node, "shots"), _number(node, "limit")
    if shots is not None and counts:
        rows = min(rows, shots * len(share))
    return max(1, round(rows if limit is None else min(rows, limit)))


def _rows_to_train_on(node: Mapping[str, Any], sizes: Counter[str]) -> float:
    """Return the rows of the training split, whatever their classes."""
    rows = sizes["train"]
    for split in ("test", "val"):  # in the order of the division
        if sizes[split]:
            continue
        folds = _number(node, "folds")
        if split == "test" and folds and node.get("time_by") is not None:
            rows = _before_fold(int(rows), int(folds), _number(node, "fold"))
        else:
            rows -= round(rows * _share(node, split))
    return rows


def _before_fold(rows: int, folds: int, fold: float | None) -> int:
    """Return the rows before a fold of those that go forward in time (`jlrun.data.folds`)."""
    last = folds - 1
    return rows - (folds - (last if fold is None else int(fold))) * (rows // (folds + 1))


def _share(node: Mapping[str, Any], split: str) -> float:
    """Return the share of the rows that are split off: a fold, where there are folds."""
    folds = _number(node, "folds")
    if split == "test" and folds:
        return 1 / folds
    return _number(node, f"{split}_fraction") or 0


def _class_counts(found: Outline) -> Mapping[str, int]:
    """Return class of the main task -> its rows; empty where the task has no classes."""
    main = next(iter(found.targets.values()), None)
    if main is None or main.kind in ("regression", "multilabel"):
        return {}
    return found.levels.get(main.column, {})


def _share_of_classes(classes: Any, counts: Mapping[str, int], num_rows: int) -> dict[str, float]:
    """Return each class that is kept -> its share of all rows; those of all classes sum to 1."""
    if not counts:
        return {"": 1.0}
    if not isinstance(classes, list):
        return dict.fromkeys(counts, 1 / len(counts))
    usual = sum(counts.values()) / len(counts)  # of a class that is given by its position
    return {str(name): counts.get(str(name), usual) / num_rows for name in classes}


def _number(node: Mapping[str, Any], key: str) -> float | None:
    value = node.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None
