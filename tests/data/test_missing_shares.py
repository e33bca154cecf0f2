"""Shares of rows that lack a modality, and the dropout that follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from jlrun.data.missing_shares import matching_rates, missing_shares
from jlrun.data.rows import TensorRows
from jlrun.data.splits import Splits
from jlrun.data.view import MaskedLabels, View
from jlrun.runs.auto_dropout import auto_dropout, strange_holes

BOTH = ("image", "text")


def view(lacking: int, rows: int = 10) -> View:
    """Return rows of which the first ``lacking`` have no image."""
    x = torch.zeros(rows, 1)
    present = {"image": torch.arange(rows) >= lacking} if lacking else {}
    made = TensorRows({"image": x, "text": x}, {"y": x[:, 0]}, present)
    return View.of_all(made)


def test_shares_are_over_all_parts_and_the_rows_of_a_view() -> None:
    assert missing_shares([view(4)], BOTH) == {"image": 0.4, "text": 0.0}
    assert missing_shares([view(4), view(0, 30)], BOTH) == {"image": 0.1, "text": 0.0}
    half = view(4).take(torch.arange(5))
    masked = View.of_all(MaskedLabels(half, torch.zeros(5, dtype=torch.bool)))
    assert missing_shares([masked], BOTH)["image"] == 0.8
    assert missing_shares([], BOTH) == {"image": 0.0, "text": 0.0}


@pytest.mark.parametrize(("trained", "wanted"), [(0.0, 0.3), (0.2, 0.6), (0.5, 0.5)])
def test_dropout_fills_up_to_the_share_that_is_wanted(trained: float, wanted: float) -> None:
    rate = matching_rates({"image": trained}, {"image": wanted})["image"]
    assert trained + (1 - trained) * rate == pytest.approx(wanted)


def test_rates_stay_in_their_range() -> None:
    assert matching_rates({"a": 0.5, "b": 0.0, "c": 1.0}, {"a": 0.1, "b": 1.0, "c": 1.0}) == {
        "a": 0.0,
        "b": 0.9,
        "c": 0.0,
    }


def splits(train: int, val: int, test: int) -> dict[str, Splits]:
    parts = view(train), view(val), view(test)
    return {"dataset": Splits(*parts, parts[0], {}, {"y": ()}, {}, None)}


def test_auto_follows_validation_rows_and_says_so() -> None:
    rates, line = auto_dropout(splits(2, 6, 9), "dataset", BOTH)
    assert rates == {"image": 0.5, "text": 0.1}
    assert "image 0.5 (for 60.0%; of training rows 20.0% lack it)" in line
    rates, line = auto_dropout(splits(4, 2, 0), "dataset", ("image",))
    assert rates == {"image": 0.0}
    assert line.startswith("modality_dropout=auto is 0: ")


def test_new_rows_that_lack_what_no_training_row_did_are_warned_of(tmp_path: Path) -> None:
    def warned(missing: object) -> list[str]:
        content = {"status": "completed", "missing": missing}
        (tmp_path / "result.json").write_text(json.dumps(content))
        return strange_holes(tmp_path, view(4).base, BOTH)

    (line,) = warned({"never_missing": ["image", "text"]})
    assert line.startswith("warning: image is missing in 40% of these rows")
    assert line.endswith("'modality_dropout={image: 0.40}'")
    assert warned({"never_missing": ["text"]}) == warned(None) == []
