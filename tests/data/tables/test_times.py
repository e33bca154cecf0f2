"""Tables that are divided by time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import torch

from jlrun.data.splits import Subset, make_splits
from jlrun.data.tables import load_table
from jlrun.errors import UserError
from tests.data.tables.files.made import rows_of, write_csv


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def timed(folder: Path, cells: list[str]) -> str:
    rows = [row | {"when": cell} for row, cell in zip(rows_of(len(cells)), cells, strict=True)]
    return str(write_csv(folder / "t.csv", rows))


@pytest.mark.parametrize("form", ["dates", "numbers"])
def test_training_is_before_validation_is_before_test(tmp_path: Path, form: str) -> None:
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    first = datetime.fromisoformat("2023-12-01T12:00")
    dates = [(first + timedelta(days=day)).isoformat(sep=" ") for day in order.tolist()]
    cells = dates if form == "dates" else [str(9 + day) for day in order.tolist()]
    dataset = load_table(timed(tmp_path, cells), targets=["label"], time_by="when")
    assert dataset.times is not None
    assert torch.equal(dataset.times.argsort(), order.argsort())
    assert dataset.fit is not None
    assert "when" not in str(dataset.fit(torch.arange(60)).modalities["tabular"])
    splits = make_splits(dataset, Subset(), seed=0)
    train, val, test = (order[view.indices] for view in (splits.train, splits.val, splits.test))
    assert [len(train), len(val), len(test)] == [38, 10, 12]
    assert train.max() < val.min()
    assert val.max() < test.min()
    fold = make_splits(dataset, Subset(folds=4, fold=1), seed=0)
    train, val, test = (order[view.indices] for view in (fold.train, fold.val, fold.test))
    assert [len(train), len(val), len(test)] == [19, 5, 12]
    assert int(train.max()) < int(val.min()) <= int(val.max()) < int(test.min()) == 24


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    path = timed(tmp_path, ["2024-01-01", "2024-01-02", "soon", ""] * 5)
    with pytest.raises(UserError) as caught:
        load_table(path, targets=["label"], time_by="when")
    assert "dataset.time_by: 'when': no time in 10 of 20 rows; line 4: 'soon' is" in str(
        caught.value
    )
    for key in ("group_by", "split_column"):
        with pytest.raises(UserError, match=f"rows are divided by it and by {key}"):
            load_table(path, targets=["label"], time_by="when", **{key: "colour"})
    same = load_table(timed(tmp_path, ["7"] * 20), targets=["label"], time_by="when")
    with pytest.raises(UserError, match="all 20 rows have one time"):
        make_splits(same, Subset(), seed=0)
