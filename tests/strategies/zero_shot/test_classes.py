"""Seen and unseen classes."""

from __future__ import annotations

import pytest
import torch

from jlrun.errors import UserError
from jlrun.models.class_vectors import ClassVectors, class_vectors
from jlrun.strategies.zero_shot import ClassSplit

DIGITS = tuple("0123456789")
WHERE = "zero_shot.unseen"
SEGMENTS = class_vectors("seven_segment", DIGITS, WHERE)


def choose(
    unseen: int | list[str | int], seed: int = 0, vectors: ClassVectors = SEGMENTS
) -> ClassSplit:
    return ClassSplit.choose(DIGITS, unseen, seed, vectors, WHERE)


def test_classes_are_chosen_by_name_in_any_order() -> None:
    split = choose(["9", 3])
    assert split.unseen_names == ("3", "9")
    assert split.seen == (0, 1, 2, 4, 5, 6, 7, 8)
    assert split.is_seen(torch.tensor([3, 4, 9])).tolist() == [False, True, False]


def test_a_number_is_drawn_by_the_seed() -> None:
    split = choose(3)
    assert split == choose(3)
    assert len(split.unseen) == 3
    assert sorted((*split.seen, *split.unseen)) == list(range(10))
    draws = {choose(3, seed).unseen for seed in range(8)}
    assert len(draws) > 4


@pytest.mark.parametrize(
    ("unseen", "message"),
    [
        (["3", "x"], "there is no class 'x' among 10"),
        (["3", 3], "class '3' is named twice"),
        ([], "no class is unseen"),
        (0, "no class is unseen"),
        (9, "9 of 10 classes leaves 1 to learn from"),
        (20, "20 of 10 classes leaves 0 to learn from"),
    ],
)
def test_wrong_choices_are_told(unseen: int | list[str | int], message: str) -> None:
    with pytest.raises(UserError, match=f"{WHERE}: {message}"):
        choose(unseen)


def test_pseudo_unseen_classes_are_seen_ones() -> None:
    split = choose(3)
    drawn = [split.pseudo(number) for number in range(6)]
    for pseudo in drawn:
        assert sorted((*pseudo.seen, *pseudo.unseen)) == list(split.seen)
        assert len(pseudo.unseen) == 2  # 3 of 10, as of 7
    assert len({pseudo.unseen for pseudo in drawn}) > 2
    tiny = ClassSplit(("a", "b", "c", "d"), (0, 1, 2), (3,)).pseudo(0)
    assert (len(tiny.seen), len(tiny.unseen)) == (2, 1)


def test_attributes_that_seen_classes_share_teach_nothing() -> None:
    # 0, 6, 8 and 9 all light the segments a, c, d and f.
    split = ClassSplit(DIGITS, seen=(0, 6, 8, 9), unseen=(1, 2, 3, 4, 5, 7))
    assert split.without_contrast(SEGMENTS) == tuple(f"segment {s}" for s in "acdf")


def test_unseen_classes_that_nothing_learned_tells_apart_are_refused() -> None:
    # 5 and 9 differ in b alone, which 0, 1, 2, 3, 4, 7 and 8 all light.
    with pytest.raises(UserError, match=r"'5' and '9' differ only in .*\(segment b"):
        choose([5, 6, 9])
    assert choose([5, 9]).unseen == (5, 9)  # 6 does not light it


def test_classes_are_drawn_so_that_they_can_be_told_apart() -> None:
    for seed in range(30):
        split = choose(4, seed)
        lost = split.without_contrast(SEGMENTS)
        kept = [i for i, name in enumerate(SEGMENTS.attributes) if name not in lost]
        assert len({tuple(row) for row in SEGMENTS.values[:, kept].tolist()}) == 10


def test_names_without_a_word_in_common_are_refused_named_or_drawn() -> None:
    vectors = class_vectors("words", DIGITS, WHERE)
    with pytest.raises(UserError, match="'3' and '5' differ only in what is the same in all seen"):
        choose([3, 5], vectors=vectors)
    with pytest.raises(UserError, match="differ only in what is the same in all seen"):
        choose(2, vectors=vectors)


def test_one_unseen_class_without_any_known_attribute_can_be_told_apart() -> None:
    vectors = ClassVectors(torch.eye(3), ("x", "y", "z"))
    assert ClassSplit.choose("abc", ["c"], 0, vectors, WHERE).unseen_names == ("c",)
