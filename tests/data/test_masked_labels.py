"""Rows of which only some labels may be used."""

from __future__ import annotations

import torch

from jlrun.data.rows import TensorRows
from jlrun.data.view import MaskedLabels, View


def rows() -> TensorRows:
    column = torch.arange(6)
    return TensorRows(
        {"x": column[:, None].float()},
        {"a": column, "b": column % 2},
        labelled={"b": torch.tensor([True, True, False, True, True, False])},
    )


KNOWN = torch.tensor([True, False, True, True, False, False])


def test_labels_of_other_rows_are_not_known() -> None:
    found = MaskedLabels(rows(), KNOWN)
    expected = {"a": KNOWN, "b": torch.tensor([True, False, False, True, False, False])}
    assert {task: mask.tolist() for task, mask in found.labelled.items()} == {
        task: mask.tolist() for task, mask in expected.items()
    }
    order = torch.tensor([4, 3, 0])
    batch = found.fetch(order)
    assert batch.inputs["x"][:, 0].tolist() == [4, 3, 0]
    for task, mask in expected.items():
        assert torch.equal(batch.labelled[task], mask[order])


def test_it_is_rows_like_any_other() -> None:
    found = MaskedLabels(rows(), KNOWN)
    assert (len(found), found.num_bytes) == (len(rows()), rows().num_bytes)
    view = View(found, torch.tensor([5, 0]))
    assert view.labelled["a"].tolist() == [False, True]
    assert view.fetch(torch.tensor([1])).labelled["a"].tolist() == [True]
