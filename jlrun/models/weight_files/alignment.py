"""Alignment of names: the common part of a file and a model, below any prefixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Size


@dataclass(frozen=True)
class Roots:
    """Prefixes of the names that a file and a model have in common.

    Attributes:
        file: for example ``module.encoder_q.``; empty: nothing.
        model: for example ``body.trunks.shared.encoders.image.network.``; empty: nothing.
    """

    file: str
    model: str

    def in_model(self, name: str) -> str | None:
        """Return the name in the model of ``name`` in the file; None: it is of another part."""
        if not name.startswith(self.file):
            return None
        return self.model + name.removeprefix(self.file)


SAME = Roots("", "")


def align(file: Mapping[str, Size], model: Mapping[str, Size]) -> tuple[Roots, int]:
    """Return the roots with the most names in common, and how many those are.

    Among equals, those with more tensors of equal shape, then the teacher of a self-distilled
    model (it is the one such methods evaluate), the shortest, the first. Roots that are not the
    whole of both count only where they explain at least half of the file or of the model: layers of
    different networks often have equal names.

    Args:
        file: name -> shape of its tensors.
        model: name -> shape of its tensors.
    """
    enough = max(1, -(-min(len(file), len(model)) // 2))
    best, best_quality = SAME, _quality(SAME, file, model)
    if best_quality[0] == min(len(file), len(model)):
        return SAME, best_quality[0]  # no others have more
    for file_root in _roots(file, enough):
        under = {n: shape for n, shape in file.items() if n.startswith(file_root)}
        for model_root in _roots(model, enough):
            roots = Roots(file_root, model_root)
            quality = _quality(roots, under, model)
            if quality[0] >= enough and quality > best_quality:
                best, best_quality = roots, quality
    return best, best_quality[0]


def _quality(
    roots: Roots, file: Mapping[str, Size], model: Mapping[str, Size]
) -> tuple[int, int, bool, int]:
    """Return the sort key of roots: first, the number of names in common."""
    targets = [(roots.in_model(name), shape) for name, shape in file.items()]
    shapes = [model[name] == shape for name, shape in targets if name is not None and name in model]
    is_teacher = "teacher" in roots.file.split(".")
    return len(shapes), sum(shapes), is_teacher, -len(roots.file) - len(roots.model)


def _roots(names: Iterable[str], enough: int) -> list[str]:
    """Return the prefixes, up to a dot or empty, of at least ``enough`` names."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update("".join(f"{part}." for part in parts[:end]) for end in range(len(parts)))
    return [root for root, count in counts.items() if count >= enough]
