"""Two and three ranks with shards of a model equal one process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.models import checkpoints
from jlrun.ranks.world import ALONE
from tests.ranks import sharded
from tests.ranks.comparing import assert_close, check_equal
from tests.ranks.processes import Processes

FEATURES = {"gradients": "features"}
WEIGHTED = {**FEATURES, "head_grad": "weighted"}


@pytest.mark.parametrize(
    ("kind", "name", "options", "engine"),
    [
        ("mlp", "equal", {}, {}),
        ("cnn", "uncertainty", {}, {"clip_norm": 0.5}),
        ("vit", "uncertainty", {}, {"accumulate": 2, "recompute": True}),
        ("vit", "mgda", FEATURES, {"accumulate": 2}),
        ("cnn", "pcgrad", WEIGHTED, {"recompute": True}),
    ],
)
def test_steps(
    processes: Processes,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    engine: Mapping[str, Any],
) -> None:
    check_equal(processes, sharded.weighting, kind, name, options, engine)


def test_modalities_that_no_row_of_a_rank_has(processes: Processes) -> None:
    check_equal(processes, sharded.lacking)


def test_reduced_precision_keeps_weights_in_float32(processes: Processes) -> None:
    alone = sharded.precision(ALONE, False)
    first, _ = processes.run(2, sharded.precision, True)
    assert {x.dtype for x in first.values()} == {torch.float32}
    assert_close(alone, first, tolerance=2e-2)


def test_what_is_interrupted_goes_on_with_another_number_of_ranks(
    processes: Processes, tmp_path: Path
) -> None:
    alone = sharded.term(ALONE, "l2", tmp_path / "alone")
    for size, then in ((2, 1), (2, 3), (3, 2)):
        folder = tmp_path / f"{size} {then}"
        processes.run(size, sharded.term, "l2", folder, 4)
        assert list((folder / "last" / "shards").iterdir()), "each rank has written its part"
        if then == 1:
            found = sharded.term(ALONE, "l2", folder)
        else:
            found = processes.run(then, sharded.term, "l2", folder)[0]
        assert_close(alone, found, f"{size}, then {then}: ")
        for name in ("last", "best"):
            checkpoints.verify(folder / name)
            assert not (folder / name / "shards").exists(), "whole in the end"
            one, two = (checkpoints.load_tensors(f / name) for f in (tmp_path / "alone", folder))
            assert_close(one, two, name)


def test_a_term_that_copies_the_model_is_refused_in_a_line(processes: Processes) -> None:
    for found in processes.run(2, sharded.copying):
        assert "terms.mine: Copying copies the model, of which a rank has a part" in found
        assert "\n" not in found.strip()


def test_terms_of_the_whole_batch(processes: Processes, tmp_path: Path) -> None:
    alone = sharded.term(ALONE, "coral", tmp_path / "alone")
    first, _ = processes.run(2, sharded.term, "coral", tmp_path / "two")
    assert_close(alone, first)
