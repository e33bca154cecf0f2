"""Which task of the sources a task of the target is."""

from __future__ import annotations

import torch

from jlrun.data.class_matching import Learned, Matching, in_classes_of_sources, match
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
    found = matched(animal=("cat", "wolf", "yak"), size=("big",))
    assert found.classes == {"size": SIZE.classes}
    assert found.unmatched["animal"].startswith(
        "'wolf', 'yak' are not among the classes of source.animal"
    )


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
