"""Which task of the sources a task of the target is."""

from __future__ import annotations

import torch

from jlrun.data.class_matching import (
    Learned,
    Matching,
    in_classes_of_sources,
    match,
    match_equal,
)
from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.splits import Subset, make_splits
from jlrun.tasks import Binary, Multiclass

ANIMAL = Learned("source", "animal", Multiclass(), ("cat", "dog", "fox"))
SIZE = Learned("source", "size", Multiclass(), ("big", "small"))
WILD = Learned("source", "wild", Binary(), ("no", "yes"))


def matched(by_classes: bool = True, **classes: tuple[str, ...]) -> Matching:
    tasks = dict.fromkeys(classes, Multiclass())
    return match(tasks, classes, [ANIMAL, SIZE, WILD], by_classes)


def test_equal_classes_are_left_as_they_are() -> None:
    assert matched(animal=ANIMAL.classes, size=SIZE.classes) == Matching()


def test_a_part_of_the_classes_takes_those_of_the_source_and_is_told() -> None:
    found = matched(animal=("fox", "cat"), size=SIZE.classes)
    assert found.classes == {"animal": ANIMAL.classes}
    (line,) = found.lines
    assert "2 of the 3 classes of source.animal ('fox', 'cat')" in line


def test_classes_in_another_order_are_the_same_and_nothing_is_told() -> None:
    assert matched(size=("small", "big")) == Matching({"size": SIZE.classes})


def test_no_labels_take_the_classes_of_the_source() -> None:
    found = matched(animal=())
    assert found.classes == {"animal": ANIMAL.classes}
    assert "no labels" in found.lines[0]


def test_unknown_classes_are_named() -> None:
    found = matched(animal=("cat", "wolf", "yak"), size=("big",), by_classes=False)
    assert found.classes == {"size": SIZE.classes}
    assert found.unmatched["animal"].startswith(
        "'wolf', 'yak' are not among the classes of source.animal"
    )


def test_a_target_with_classes_that_the_source_lacks_keeps_those_they_share() -> None:
    found = matched(animal=("cat", "wolf", "yak"))
    assert found.classes == {"animal": ANIMAL.classes}
    assert found.unknown == {"animal": ("wolf", "yak")}
    assert "1 of the 3 classes of source.animal ('cat')" in found.lines[0]
    other = matched(beast=("cat", "fox", "wolf", "big"))
    assert (other.called, other.unknown) == ({"animal": "beast"}, {"beast": ("wolf", "big")})
    assert "animal" in matched(animal=("wolf", "yak")).unmatched
    assert "beast" in matched(beast=("cat", "big", "wolf")).unmatched  # as many of two tasks


def test_rows_of_unknown_classes_count_as_unlabelled() -> None:
    label = torch.tensor([0, 1, 2, 3] * 10)
    rows = TensorRows({"x": torch.zeros(40, 1)}, {"animal": label})
    own = ("wolf", "cat", "fox", "yak")
    splits = make_splits(Dataset(rows, {}, {"animal": own}), Subset(), seed=0)
    train = in_classes_of_sources(splits, {"animal": ANIMAL.classes}).train
    before = [own[i] for i in splits.train.targets["animal"].tolist()]
    batch = train.fetch(torch.arange(len(train)))
    for targets, labelled in ((train.targets, train.labelled), (batch.targets, batch.labelled)):
        after = [ANIMAL.classes[i] for i in targets["animal"].tolist()]
        known = labelled["animal"].tolist()
        assert known == [name in ANIMAL.classes for name in before]
        assert all(a == b for a, b, k in zip(after, before, known, strict=True) if k)
    kept = train.relabelled({"animal": torch.tensor([2, 0, 1])})
    assert torch.equal(kept.labelled["animal"], train.labelled["animal"])


def test_equal_classes_under_another_name_are_one_task_unless_they_are_few() -> None:
    def found(classes: tuple[str, ...], name: str = "label", *learned: Learned) -> Matching:
        return match_equal({name: Multiclass()}, {name: classes}, [ANIMAL, SIZE, *learned])

    turned = ("fox", "dog", "cat")
    assert found(turned).called == {"animal": "label"}
    assert found(turned).classes == {"label": ANIMAL.classes}
    assert "target.label is matched to 'animal' of source" in found(turned).lines[0]
    twin = Learned("source", "beast", Multiclass(), ANIMAL.classes)
    for other in (
        found(("big", "small")),
        found(("cat", "dog")),
        found(turned, "animal"),
        found(turned, "label", twin),
    ):
        assert other == Matching()


def test_another_kind_of_the_same_name_is_another_task_unless_classes_are_unknown() -> None:
    assert "no source has a task of that name and kind" in matched(wild=("no",)).unmatched["wild"]
    assert (
        matched(wild=("no", "maybe"))
        .unmatched["wild"]
        .startswith("'maybe' is not among the classes")
    )


def test_a_single_task_of_another_name_is_found_by_its_classes() -> None:
    found = matched(label=("small", "big"))
    assert (found.called, found.classes) == ({"size": "label"}, {"label": SIZE.classes})
    assert "matched to 'size' of source" in found.lines[0]
    assert matched(label=("dog",)).called == {"animal": "label"}
    assert matched(label=()).called == {"animal": "label"}


def test_another_name_is_not_guessed_where_it_is_not_sure() -> None:
    other = Learned("source", "pet", Multiclass(), ("dog", "cat"))
    tasks, classes = {"label": Multiclass()}, {"label": ("dog",)}
    found = match(tasks, classes, [ANIMAL, other], by_classes=True)
    assert "may be 'animal' or 'pet'" in found.unmatched["label"]
    assert set(matched(label=("dog",), other=("big",)).unmatched) == {"label", "other"}
    assert set(matched(by_classes=False, label=("dog",)).unmatched) == {"label"}


def test_labels_become_positions_in_the_classes_of_the_source_also_of_a_subset() -> None:
    labels = torch.arange(60) % 3  # of fox, cat, dog
    known = torch.arange(60) % 4 > 0
    rows = TensorRows({"x": labels[:, None].float()}, {"animal": labels}, {}, {"animal": known})
    dataset = Dataset(rows, {}, {"animal": ("fox", "cat", "dog")}, test=rows, val=rows)
    splits = make_splits(dataset, Subset(classes=["dog", "fox"]), seed=0)
    moved = in_classes_of_sources(splits, {"animal": ANIMAL.classes})
    assert moved.classes == {"animal": ANIMAL.classes}
    for view in (moved.train, moved.val, moved.test, moved.pool):
        batch = view.fetch(torch.arange(len(view)))
        # x tells what the row is: 0 fox, which is the third class of the source; 2 dog, the second.
        right = torch.where(batch.inputs["x"][:, 0] == 0, 2, 1)
        assert torch.equal(batch.targets["animal"], right)
        assert torch.equal(view.targets["animal"], right)
