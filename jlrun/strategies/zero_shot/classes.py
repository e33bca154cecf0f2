"""Split of the classes: seen ones are learned, unseen ones only recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.config.sections import ZeroShotSettings
from jlrun.data.written_names import Name, find_name
from jlrun.errors import UserError, did_you_mean
from jlrun.models.class_vectors import ClassVectors, class_vectors
from jlrun.seeding import derive_seed

MAX_DRAWS = 1_000
MIN_SEEN = 2  # a single class teaches nothing about what makes classes differ


@dataclass(frozen=True)
class ClassSplit:
    """Seen classes, of which there are training rows, and unseen ones, of which there are none.

    Attributes:
        names: all K classes, in the order of the logits.
        seen, unseen: positions in ``names``, ascending; together at most all of them.
    """

    names: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]

    @classmethod
    def choose(
        cls,
        names: Sequence[str],
        unseen: int | Sequence[Name],
        seed: int,
        vectors: ClassVectors,
        where: str,
    ) -> ClassSplit:
        """Return the split in which ``unseen`` are the unseen classes.

        Args:
            names: all classes.
            unseen: their names, or how many to draw, no two of them with equal vectors.
            seed: of the draw.
            vectors: of the classes.
            where: config path of ``unseen``, for errors.

        Raises:
            UserError: for a class that is unknown or named twice, for none, if fewer than two
                classes are left, or if an unseen class differs from another class only in
                attributes in which no two seen ones differ.
        """
        count = unseen if isinstance(unseen, int) else len(unseen)
        if count < 1:
            raise UserError.of(where, "no class is unseen; name at least one, or give a number")
        if count > len(names) - MIN_SEEN:
            raise UserError.of(
                where,
                f"{count} of {len(names)} classes leaves {max(0, len(names) - count)} to learn "
                f"from; at least {MIN_SEEN} are needed",
            )
        if isinstance(unseen, int):
            draws = [derive_seed(seed, number) for number in range(MAX_DRAWS)]
            tried = (cls.drawn(names, range(len(names)), count, draw) for draw in draws)
            split = next((found for found in tried if found._alike(vectors) is None), None)
            split = split or cls.drawn(names, range(len(names)), count, draws[0])
        else:
            split = cls._named(names, unseen, where)
        split._check_distinct(vectors, where)
        return split

    @classmethod
    def _named(cls, names: Sequence[str], unseen: Sequence[Name], where: str) -> ClassSplit:
        chosen = [_position(name, names, where) for name in unseen]
        for position in chosen:
            if chosen.count(position) > 1:
                raise UserError.of(where, f"class '{names[position]}' is named twice")
        return cls._of(names, range(len(names)), chosen)

    @classmethod
    def drawn(cls, names: Sequence[str], among: Sequence[int], count: int, seed: int) -> ClassSplit:
        """Return the split of the classes ``among`` in which ``count`` drawn ones are unseen."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "unseen classes"))
        order = torch.randperm(len(among), generator=generator)[:count]
        return cls._of(names, among, [among[int(i)] for i in order])

    @classmethod
    def _of(cls, names: Sequence[str], among: Sequence[int], unseen: Sequence[int]) -> ClassSplit:
        seen = tuple(position for position in among if position not in unseen)
        return cls(tuple(names), seen, tuple(sorted(unseen)))

    @property
    def unseen_names(self) -> tuple[str, ...]:
        """Names of the unseen classes."""
        return tuple(self.names[position] for position in self.unseen)

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Names of the seen classes."""
        return tuple(self.names[position] for position in self.seen)

    def is_seen(self, labels: Tensor) -> Tensor:
        """Return for labels ``(N,)`` whether the class is seen, Bool ``(N,)``."""
        return torch.isin(labels, labels.new_tensor(self.seen))

    def pseudo(self, number: int) -> ClassSplit:
        """Return a split of the seen classes, to choose by what no unseen class may decide.

        As large a share of them is drawn as the unseen classes are of all; at least one, and so
        that two are left. Splits of other numbers are drawn anew.
        """
        total = len(self.seen) + len(self.unseen)
        share = round(len(self.seen) * len(self.unseen) / total)
        count = min(max(1, share), len(self.seen) - MIN_SEEN)
        seed = derive_seed(number, "pseudo-unseen", *self.seen_names)
        return ClassSplit.drawn(self.names, self.seen, count, seed)

    def without_contrast(self, vectors: ClassVectors) -> tuple[str, ...]:
        """Return the attributes in which no two seen classes differ: nothing is learned of them."""
        rows = vectors.values[list(self.seen)]
        same = (rows == rows[0]).all(dim=0).tolist()
        return tuple(n for n, is_same in zip(vectors.attributes, same, strict=True) if is_same)

    def _alike(self, vectors: ClassVectors) -> tuple[str, str] | None:
        """Return an unseen class and one that differs from it in no attribute with contrast."""
        lost = self.without_contrast(vectors)
        kept = [i for i, name in enumerate(vectors.attributes) if name not in lost]
        rows = [tuple(row) for row in vectors.values[:, kept].tolist()]
        for position in self.unseen:
            for other in (*self.seen, *self.unseen):
                if other != position and rows[other] == rows[position]:
                    return self.names[position], self.names[other]
        return None

    def _check_distinct(self, vectors: ClassVectors, where: str) -> None:
        pair = self._alike(vectors)
        if pair is not None:
            lost = ", ".join(self.without_contrast(vectors)[:5])
            raise UserError.of(
                where,
                f"'{pair[0]}' and '{pair[1]}' differ only in what is the same in all seen classes "
                f"({lost}), so no method can separate them. Choose other unseen classes, or add "
                "attributes",
            )


def unseen_classes(
    settings: ZeroShotSettings, classes: Sequence[str]
) -> tuple[ClassSplit, ClassVectors]:
    """Return which classes are unseen, and what describes all of them.

    Raises:
        UserError: as `ClassSplit.choose`, or if a class is not described.
    """
    vectors = class_vectors(settings.attributes, classes, "zero_shot.attributes")
    seed, where = settings.unseen_seed, "zero_shot.unseen"
    return ClassSplit.choose(classes, settings.unseen, seed, vectors, where), vectors


def _position(name: Name, names: Sequence[str], where: str) -> int:
    found = find_name(name, names, where)
    if found is None:
        hint = did_you_mean(str(name), names)
        raise UserError.of(where, f"there is no class '{name}' among {len(names)}.{hint}")
    return found
