"""Splits: disjoint, stratified, seeded; subsets; a clear line for what can't be done."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.rows import FileRows, TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.strata import strata
from jlrun.errors import UserError

ANIMALS = ("cat", "dog", "owl", "bee")
CONF = Path(__file__).parents[2] / "conf" / "dataset" / "_subset.yaml"


def rows_of(targets: dict[str, Tensor], labelled: dict[str, Tensor] | None = None) -> TensorRows:
    """Rows whose one pixel tells their number."""
    count = len(next(iter(targets.values())))
    pixel = (torch.arange(count) % 256).to(torch.uint8)
    return TensorRows({"image": pixel.view(count, 1, 1, 1)}, targets, labelled=labelled)


def animals(sizes: tuple[int, ...] = (40, 80, 120, 160), **splits: Any) -> Dataset:
    target = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Dataset(
        train=rows_of({"animal": target}),
        modalities={"image": ImageSpec(1, 1, 1, (), ())},
        classes={"animal": ANIMALS},
        **splits,
    )


def indices(splits: Splits) -> list[list[int]]:
    return [view.indices.tolist() for view in (splits.train, splits.val, splits.test)]


def error(dataset: Dataset, where: str = "dataset", **subset: Any) -> str:
    with pytest.raises(UserError) as caught:
        make_splits(dataset, Subset(**subset), seed=0, where=where)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_subset_defaults_are_those_of_the_yaml() -> None:
    config = yaml.safe_load(CONF.read_text())
    config.pop("augment")
    config.pop("balanced_by")  # of the order of rows, not of which there are
    assert config.pop("val_shots") == "${.shots}"
    defaults = asdict(Subset())
    assert defaults.pop("val_shots") is None
    assert config == defaults


@pytest.mark.parametrize(
    "values",
    [
        {"shots": 0},
        {"val_shots": -1},
        {"limit": 0},
        {"val_fraction": -0.1},
        {"test_fraction": 1.0},
        {"shots": "five"},
        {"classes": "cat"},
    ],
    ids=str,
)
def test_ranges_and_types_are_checkable(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Subset).validate_python(values)


def test_fractions_and_disjointness() -> None:
    train, val, test = indices(make_splits(animals(), Subset(), seed=0))
    assert (len(train), len(val), len(test)) == (256, 64, 80)
    assert sorted(train + val + test) == list(range(400))


def test_every_split_has_the_classes_in_proportion() -> None:
    splits = make_splits(animals(), Subset(), seed=3)
    assert splits.test.targets["animal"].bincount().tolist() == [8, 16, 24, 32]
    for view, share in ((splits.train, 0.64), (splits.val, 0.16)):
        counts = view.targets["animal"].bincount()
        assert (counts - share * torch.tensor([40, 80, 120, 160])).abs().max() < 1


def test_rounding_by_largest_remainder_keeps_the_total() -> None:
    splits = make_splits(animals((13, 14, 16, 17)), Subset(test_fraction=0.25), seed=0)
    counts = splits.test.targets["animal"].bincount()
    assert counts.sum() == 15
    assert counts.tolist() == [3, 4, 4, 4]  # quotas 3.25, 3.5, 4 and 4.25


def test_same_seed_same_splits_other_seed_other_validation_but_same_test() -> None:
    dataset = animals()
    first, again, other = (indices(make_splits(dataset, Subset(), seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first[2] == other[2]
    assert first[1] != other[1]
    assert first[2] != indices(make_splits(dataset, Subset(test_seed=1), seed=0))[2]


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    make_splits(animals(), Subset(shots=3, val_shots=2, limit=5), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_official_splits_are_respected() -> None:
    val, test = rows_of({"animal": torch.arange(4)}), rows_of({"animal": torch.arange(4).flip(0)})
    splits = make_splits(animals(val=val, test=test), Subset(), seed=0)
    assert indices(splits) == [list(range(400)), [0, 1, 2, 3], [0, 1, 2, 3]]
    assert splits.test.targets["animal"].tolist() == [3, 2, 1, 0]


def test_an_official_test_split_leaves_validation_to_be_split_off() -> None:
    splits = make_splits(animals(test=rows_of({"animal": torch.arange(4)})), Subset(), seed=0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (320, 80, 4)


def test_official_rows_in_the_place_of_those_divided_off() -> None:
    """A new test file leaves training and validation rows as they were."""
    before = make_splits(animals(), Subset(), seed=3)
    test = rows_of({"animal": torch.arange(4)})
    now = make_splits(animals(test=test), Subset(), seed=3, set_aside=("test",))
    assert indices(now)[:2] == indices(before)[:2]
    assert now.test.base is test


def test_shots_are_per_class() -> None:
    splits = make_splits(animals(), Subset(shots=5, val_shots=3), seed=0)
    assert splits.train.targets["animal"].bincount().tolist() == [5] * 4
    assert splits.val.targets["animal"].bincount().tolist() == [3] * 4
    assert len(splits.test) == 80


def test_shots_are_nested_drawn_by_seed_and_leave_validation_as_it_is() -> None:
    few, many, other, val_only = (
        indices(make_splits(animals(), subset, seed=seed))
        for subset, seed in (
            (Subset(shots=2, val_shots=4), 0),
            (Subset(shots=10, val_shots=4), 0),
            (Subset(shots=2, val_shots=4), 1),
            (Subset(val_shots=4), 0),
        )
    )
    assert set(few[0]) < set(many[0])
    assert few[0] != other[0]
    assert few[1] == many[1] == val_only[1]


def test_limit_keeps_proportions() -> None:
    splits = make_splits(animals(), Subset(limit=50), seed=0)
    assert splits.train.targets["animal"].bincount().tolist() == [5, 10, 15, 20]
    assert (len(splits.val), len(splits.test)) == (64, 80)
    assert len(make_splits(animals(), Subset(limit=9999), seed=0).train) == 256


def test_classes_are_relabelled_in_the_order_given() -> None:
    dataset = animals()
    splits = make_splits(dataset, Subset(classes=["owl", 0]), seed=0)
    assert splits.classes == {"animal": ("owl", "cat")}
    for view in (splits.train, splits.val, splits.test):
        old = dataset.train.targets["animal"][view.indices]
        assert torch.equal(view.targets["animal"], torch.where(old == 2, 0, 1))
        fetched = view.fetch(torch.tensor([3, 1]))
        assert torch.equal(fetched.targets["animal"], view.targets["animal"][[3, 1]])
        assert fetched.inputs["image"].flatten().tolist() == [
            int(i) % 256 for i in view.indices[[3, 1]]
        ]
    assert sum(map(len, (splits.train, splits.val, splits.test))) == 160


def test_a_number_names_a_class_before_it_is_an_index() -> None:
    dataset = Dataset(
        train=rows_of({"year": torch.arange(3).repeat(20)}),
        modalities={},
        classes={"year": ("2", "1", "0")},
    )
    assert make_splits(dataset, Subset(classes=[2, 1]), seed=0).classes == {"year": ("2", "1")}


def test_rows_are_drawn_by_the_combination_of_tasks_where_all_are_frequent() -> None:
    left, right = torch.arange(2).repeat(200), torch.arange(4).repeat_interleave(100)
    dataset = Dataset(
        train=rows_of({"left": left, "right": right, "size": torch.rand(400)}),
        modalities={},
        classes={"left": ("a", "b"), "right": ("a", "b", "c", "d"), "size": ()},
    )
    test = make_splits(dataset, Subset(), seed=0).test.targets
    assert (test["left"] * 4 + test["right"]).bincount().tolist() == [10] * 8


def test_a_rare_combination_leaves_the_main_task_in_proportion() -> None:
    main = torch.arange(2).repeat_interleave(50)
    rare = torch.zeros(100, dtype=torch.long)
    rare[0] = 1
    dataset = Dataset(
        train=rows_of({"main": main, "rare": rare}),
        modalities={},
        classes={"main": ("a", "b"), "rare": ("no", "yes")},
    )
    splits = make_splits(dataset, Subset(), seed=0)
    assert splits.test.targets["main"].bincount().tolist() == [10, 10]


def test_regression_and_multilabel_are_split_at_random() -> None:
    for target, classes in ((torch.rand(50), ()), (torch.ones(50, 2), ("a", "b"))):
        dataset = Dataset(rows_of({"y": target}), modalities={}, classes={"y": classes})
        splits = make_splits(dataset, Subset(), seed=0)
        assert (len(splits.train), len(splits.val), len(splits.test)) == (32, 8, 10)
        assert sorted(chain(*indices(splits))) == list(range(50))


def half_labelled() -> Dataset:
    target = torch.arange(4).repeat(50)
    known = torch.arange(200) < 100
    rows = rows_of({"animal": torch.where(known, target, -7)}, {"animal": known})
    return Dataset(rows, modalities={}, classes={"animal": ANIMALS})


def test_unlabelled_rows_are_a_stratum_of_their_own() -> None:
    splits = make_splits(half_labelled(), Subset(), seed=0)
    assert int(splits.test.labelled["animal"].sum()) == 20
    assert len(splits.test) == 40


def test_unlabelled_rows_are_no_shots_and_of_no_class() -> None:
    shots = make_splits(half_labelled(), Subset(shots=5), seed=0).train
    assert shots.labelled["animal"].all()
    assert shots.targets["animal"].bincount().tolist() == [5] * 4
    kept = make_splits(half_labelled(), Subset(classes=["cat"]), seed=0)
    assert sum(map(len, (kept.train, kept.val, kept.test))) == 25
    assert kept.train.labelled["animal"].all()


def test_image_statistics_are_of_the_training_rows() -> None:
    splits = make_splits(animals(), Subset(), seed=0)
    pixels = splits.train.fetch(torch.arange(256)).inputs["image"].double() / 255
    spec = splits.modalities["image"]
    assert isinstance(spec, ImageSpec)
    assert spec.mean == pytest.approx([pixels.mean().item()])
    assert spec.std == pytest.approx([pixels.std(correction=0).item()])


def test_statistics_that_are_given_and_other_modalities_stay() -> None:
    given = ImageSpec(1, 1, 1, (0.5,), (0.25,))
    dataset = animals()
    dataset = Dataset(
        dataset.train, {"image": given, "audio": AudioSpec(1, 1)}, dict(dataset.classes)
    )
    assert make_splits(dataset, Subset(), seed=0).modalities == {
        "image": given,
        "audio": AudioSpec(1, 1),
    }


def test_constant_channels_get_the_smallest_deviation_and_absent_images_do_not_count() -> None:
    count, target = 300, torch.zeros(300, dtype=torch.long)
    image = torch.full((count, 2, 2, 2), 51, dtype=torch.uint8)
    present = torch.arange(count) % 2 == 0
    image[~present] = 255
    dataset = Dataset(
        TensorRows({"image": image}, {"y": target}, present={"image": present}),
        modalities={"image": ImageSpec(2, 2, 2, (), ())},
        classes={"y": ("a",)},
    )
    spec = make_splits(dataset, Subset(), seed=0).modalities["image"]
    assert isinstance(spec, ImageSpec)
    assert spec.mean == pytest.approx((0.2, 0.2))
    assert spec.std == (1e-3, 1e-3)


def test_at_most_2000_rows_are_decoded_for_statistics() -> None:
    decoded = []

    def decode(row: int) -> dict[str, Tensor]:
        decoded.append(row)
        return {"image": torch.zeros(1, 1, 1, dtype=torch.uint8)}

    rows = FileRows(decode, {"y": torch.zeros(5000, dtype=torch.long)}, row_bytes=1)
    dataset = Dataset(rows, {"image": ImageSpec(1, 1, 1, (), ())}, {"y": ("a",)})
    splits = make_splits(dataset, Subset(), seed=0)
    assert len(decoded) == len(set(decoded)) == 2000
    assert set(decoded) <= set(splits.train.indices.tolist())
    assert max(decoded) > 4900


def test_views_of_views_and_their_size() -> None:
    splits = make_splits(animals(), Subset(classes=["bee", "dog"]), seed=0)
    part = splits.train.take(torch.tensor([5, 2]))
    assert len(part) == 2
    assert part.num_bytes == 2
    assert torch.equal(part.targets["animal"], splits.train.targets["animal"][[5, 2]])
    assert part.indices.tolist() == splits.train.indices[[5, 2]].tolist()


EMPTY = rows_of({"animal": torch.zeros(0, dtype=torch.long)})
FOUR = rows_of({"animal": torch.arange(4)})


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        (
            {"classes": ["cta"]},
            "target.classes: there is no class 'cta' among 4. Did you mean 'cat'?",
        ),
        ({"classes": [4]}, "target.classes: there is no class '4' among 4."),
        ({"classes": [-1]}, "target.classes: there is no class '-1' among 4."),
        ({"classes": []}, "target.classes: no class is left"),
        ({"classes": ["cat", 0]}, "target.classes: class 'cat' is named twice"),
        (
            {"shots": 27},
            "target.shots: 27 rows per class are set, but class 'cat' has 26 training rows. "
            "Use at most 26",
        ),
        (
            {"shots": 5, "val_shots": 7},
            "target.val_shots: 7 rows per class are set, but class 'cat' has 6 validation rows",
        ),
        ({"test_fraction": 1e-4}, "target.test_fraction: 0.0001 of 400 rows is 0 rows"),
        ({"val_fraction": 1e-4}, "target.val_fraction: 0.0001 of 320 rows is 0 rows"),
        ({"val_fraction": 0.9999}, "target.val_fraction: 0.9999 of 320 rows leaves none"),
    ],
    ids=str,
)
def test_error_lines(subset: dict[str, Any], expected: str) -> None:
    assert error(animals(), "target", **subset).startswith(expected)


def test_error_lines_of_empty_splits() -> None:
    assert error(animals(test=EMPTY)) == (
        "dataset: the data set has no test rows; at least one is needed"
    )
    assert error(animals(val=EMPTY)).startswith("dataset: the data set has no validation rows")
    lacking = animals((40, 0, 10, 10), test=FOUR)
    assert error(lacking, classes=["dog"]) == (
        "dataset.classes: none of the 48 training rows is of dog; keep a class that has some"
    )


def test_error_lines_without_classes() -> None:
    dataset = Dataset(rows_of({"size": torch.rand(50)}), modalities={}, classes={"size": ()})
    assert error(dataset, shots=2).startswith("dataset.shots: the main task 'size' has no classes")
    assert error(dataset, classes=["a"]).startswith("dataset.classes: the main task 'size' has no")


def test_a_class_without_rows_has_no_shots() -> None:
    assert "class 'dog' has 0 training rows" in error(animals((40, 0, 40, 40)), shots=1)


def test_the_division_does_not_depend_on_the_classes_that_are_kept() -> None:
    # Else a source and a target that are subsets of one data set would train on each other's test.
    whole = indices(make_splits(animals(), Subset(), seed=0))
    some = indices(make_splits(animals(), Subset(classes=["owl", "cat"]), seed=0))
    for of_all, of_some in zip(whole, some, strict=True):
        assert set(of_some) < set(of_all)


def test_float64_numbers_have_the_units_of_the_labelled_training_rows() -> None:
    far = 1.7e9 + 10 * torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    mask = torch.arange(50) % 4 > 0
    rows = rows_of({"far": far.masked_fill(~mask, 0.0), "near": far.float()}, {"far": mask})
    dataset = Dataset(rows, {"image": ImageSpec(1, 1, 1, (), ())}, {"far": (), "near": ()})
    splits = make_splits(dataset, Subset(), seed=0)
    assert set(splits.units) == {"far"}
    used = splits.train.targets["far"][splits.train.labelled["far"]]
    expected = (float(used.mean()), float(used.std(correction=0)))
    assert splits.units["far"] == pytest.approx(expected, rel=1e-9)


def test_no_validation_rows() -> None:
    splits = make_splits(animals(), Subset(val_fraction=0, classes=["dog", "owl"], shots=3), seed=0)
    whole = make_splits(animals(), Subset(), seed=0)
    train, val, test = indices(splits)
    assert (len(train), val, test) == (6, [], [i for i in indices(whole)[2] if 40 <= i < 240])
    assert len(splits.pool) + len(test) == 200
    official = make_splits(
        animals(val=rows_of({"animal": torch.arange(4)})), Subset(val_fraction=0), 0
    )
    assert len(official.val) == 4  # it is used, as always


def folds_of(dataset: Dataset, **subset: Any) -> list[Splits]:
    count = subset["folds"] * subset.get("repeats", 1)
    return [make_splits(dataset, Subset(**subset, fold=i), seed=0) for i in range(count)]


def test_each_row_is_in_one_fold_of_a_repeat() -> None:
    found = folds_of(animals(), folds=3, repeats=2)
    tested = [indices(splits)[2] for splits in found]
    assert sorted(chain(*tested[:3])) == sorted(chain(*tested[3:])) == list(range(400))
    assert tested[0] != tested[3]
    for splits in found:
        assert sorted(chain(*indices(splits))) == list(range(400))
        assert len(splits.val) == round(0.2 * (400 - len(splits.test)))
        assert splits.test.targets["animal"].bincount().tolist() == pytest.approx(
            [40 / 3, 80 / 3, 40, 160 / 3], abs=1
        )
    other = make_splits(animals(), Subset(folds=3, fold=0), seed=7)
    assert indices(other)[2] == tested[0]
    assert indices(other)[1] != indices(found[0])[1]


def test_rows_without_a_label_are_never_tested_on() -> None:
    known = torch.arange(400) % 4 > 0
    target = {"animal": torch.arange(400) % 4, "size": torch.arange(400.0)}
    masks = {"animal": known, "size": known}
    rows = rows_of(target, masks)
    groups = torch.arange(400) // 8
    for kind in ({}, {"groups": groups}):
        dataset = Dataset(rows, animals().modalities, {"animal": ANIMALS, "size": ()}, **kind)
        found = folds_of(dataset, folds=4)
        tested = sorted(chain(*(indices(splits)[2] for splits in found)))
        assert tested == known.nonzero().flatten().tolist()
        for splits in found if kind else ():
            seen = groups[splits.train.indices], groups[splits.val.indices]
            assert not torch.isin(torch.cat(seen), groups[splits.test.indices]).any()


def test_folds_that_can_not_be() -> None:
    few = animals((1, 1, 1, 1))
    assert "dataset.folds: 5 folds of 4 labelled rows: use at most 4" in error(few, folds=5, fold=0)
    grouped = replace(animals(), groups=torch.arange(400) // 200)
    assert "3 folds of 2 groups of rows" in error(grouped, folds=3, fold=0)
    tested = animals(test=rows_of({"animal": torch.arange(4)}))
    assert "dataset.folds: the data set has a test split of its own" in error(
        tested, folds=2, fold=0
    )


def test_numbers_are_strata_between_quantiles() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(200, generator=generator) ** 4
    rows = rows_of({"y": y})
    dataset = Dataset(rows, animals().modalities, {"y": ()})
    assert strata(rows, {"y": ()}).bincount().tolist() == [20] * 10
    for seed in range(3):
        test = make_splits(dataset, Subset(test_seed=seed), seed=0).test
        cuts = y.sort().values[20::20].contiguous()
        parts = torch.searchsorted(cuts, y[test.indices], right=True)
        assert parts.bincount(minlength=10).tolist() == [4] * 10
    assert strata(rows_of({"y": y[:15]}), {"y": ()}).bincount().tolist() == [15]


def test_strata_of_several_targets_leave_out_what_would_make_them_rare() -> None:
    main = torch.arange(120) % 3
    rare = (torch.arange(120) < 2).long()
    other = torch.arange(120) // 60
    y = torch.arange(120) // 3 % 2 + torch.arange(120) / 1000
    rows = rows_of({"main": main, "rare": rare, "other": other, "y": y})
    names = {"main": ("a", "b", "c"), "rare": ("n", "y"), "other": ("n", "y"), "y": ()}
    found = strata(rows, names)
    assert found.bincount().tolist() == [10] * 12  # of classes, halves, and halves of these
    assert strata(rows, {"rare": ("n", "y")}).bincount().tolist() == [118, 2]
