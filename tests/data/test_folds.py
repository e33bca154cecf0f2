"""Folds: scikit-learn's splitters as oracles."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from jlrun.data.folds import forward_fold, group_folds, last_in_time, stratified_folds


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counts(folds: torch.Tensor, strata: torch.Tensor) -> np.ndarray:
    """Return the number of rows by fold and stratum."""
    table = torch.zeros(int(folds.max()) + 1, int(strata.max()) + 1)
    return table.index_put((folds, strata), torch.ones(len(folds)), accumulate=True).numpy()


def test_stratified_folds_are_as_even_as_can_be() -> None:
    strata = torch.randint(0, 4, (211,), generator=generator())
    ours = counts(stratified_folds(strata, 5, generator(1)), strata)
    theirs = np.array(
        [
            np.bincount(strata[test], minlength=4)
            for _, test in StratifiedKFold(5).split(strata, strata)
        ]
    )
    assert (np.ptp(ours, axis=0) <= 1).all()
    assert np.ptp(ours.sum(axis=1)) <= 1
    assert (np.sort(ours, axis=0) == np.sort(theirs, axis=0)).all()
    rare = stratified_folds(torch.tensor([0] * 7 + [1]), 4, generator())
    assert rare.bincount().tolist() == [2, 2, 2, 2]


def test_folds_are_drawn() -> None:
    strata = torch.zeros(100, dtype=torch.long)
    first, again, other = (stratified_folds(strata, 5, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_groups_stay_whole_and_strata_are_spread_as_by_scikit_learn() -> None:
    groups = torch.randint(0, 40, (600,), generator=generator(3))
    strata = (torch.rand(600, generator=generator(4)) < 0.1 + 0.8 * (groups % 7) / 7).long()
    found = [group_folds(groups, strata, 5, generator(seed)) for seed in range(6)]
    for folds in found:
        assert all(len(folds[groups == group].unique()) == 1 for group in range(40))
    theirs = torch.zeros(600, dtype=torch.long)
    splitter = StratifiedGroupKFold(5)
    for number, (_, test) in enumerate(splitter.split(groups, strata, groups)):
        theirs[test] = number

    def unevenness(folds: torch.Tensor) -> float:
        table = counts(folds, strata)
        return float((table / table.sum(axis=0)).std(axis=0).mean())

    assert np.mean([unevenness(folds) for folds in found]) < 1.5 * unevenness(theirs)
    assert not torch.equal(found[0], found[1])


def test_forward_folds_are_those_of_scikit_learn() -> None:
    times = torch.randperm(53, generator=generator()).double()
    order = times.argsort().numpy()
    for number, (train, test) in enumerate(TimeSeriesSplit(5).split(order)):
        ours = [set(mask.nonzero().flatten().tolist()) for mask in forward_fold(times, 5, number)]
        assert ours == [set(order[train].tolist()), set(order[test].tolist())]


def test_rows_of_one_time_are_not_divided() -> None:
    times = torch.arange(40).div(6, rounding_mode="floor").double()
    tested = torch.zeros(40, dtype=torch.long)
    for number in range(3):
        train, test = forward_fold(times, 3, number)
        assert times[train].max() < times[test].min()
        tested += test
    assert tested.max() == 1
    assert last_in_time(times, 5).tolist() == list(range(30, 40))
