"""Labels of multilabel targets: the mark between them, and the evidence for one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_SEPARATOR = "|"
SEPARATORS = {";": "semicolon", ",": "comma", "/": "slash"}
_SHARE = 0.1
_TIMES = 3
_WORDS = 4
_FEWEST = 3
_NUMBER = re.compile(r"[-+\d.,:\s%]*")


@dataclass(frozen=True)
class LabelEvidence:
    """Evidence that the cells of a column are lists of labels.

    Attributes:
        separator: mark between labels.
        cells: cells of the sample with the mark.
        labels: different labels.
        times: occurrences of all labels.
        example: a cell with the mark.
    """

    separator: str
    cells: int
    labels: int
    times: int
    example: str

    def __str__(self) -> str:
        mark = SEPARATORS[self.separator]
        return (
            f"{self.cells:,} cells such as '{self.example[:40]}' look like labels divided by a "
            f"{mark} ({self.labels:,} labels, {self.times / self.labels:.0f} cells each)"
        )


def split_labels(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell such as ``a|b``."""
    return [label.strip() for label in cell.split(separator) if label.strip()]


def label_evidence(sample: Sequence[str]) -> LabelEvidence | None:
    """Return the mark that divides a sample of cells into labels that recur; None if none does.

    A tenth of the cells must have the mark, and a label must be short, no number, and occur in
    three cells on average, also without the labels next to it.
    """
    found = (_evidence(sample, mark) for mark in SEPARATORS)
    return max((each for each in found if each), key=lambda each: each.cells, default=None)


def _evidence(sample: Sequence[str], separator: str) -> LabelEvidence | None:
    several = [cell for cell in sample if separator in cell]
    if not several or len(several) < _SHARE * len(sample):
        return None
    lists = [split_labels(cell, separator) for cell in sample]
    counts = Counter(label for labels in lists for label in labels)
    cells, times = set(several), counts.total()
    recur = len(counts) >= _FEWEST and times >= _TIMES * len(counts)
    short = all(len(label.split()) <= _WORDS and not _NUMBER.fullmatch(label) for label in counts)
    if not (recur and short and len(cells) >= 2 and _apart(lists, counts)):
        return None
    return LabelEvidence(separator, len(several), len(counts), times, several[0])


def _apart(lists: Sequence[Sequence[str]], counts: Counter[str]) -> bool:
    """Whether most labels that stand in a list also occur in another list or alone."""
    lists_of: dict[str, set[tuple[str, ...]]] = {label: set() for label in counts}
    for labels in {tuple(labels) for labels in lists}:
        for label in labels:
            lists_of[label].add(labels)
    listed = [found for found in lists_of.values() if any(len(labels) > 1 for labels in found)]
    return sum(len(found) > 1 for found in listed) > 0.5 * len(listed)
