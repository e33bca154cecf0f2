"""Options of the recipe, the engine and the data: ranks equal one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.ranks.world import ALONE
from jlrun.training.averaging import WeightAverage
from tests.ranks import cases
from tests.ranks.comparing import assert_close, check_equal
from tests.ranks.processes import SIZES, Processes

WEIGHTED: dict[str, Any] = {"head_grad": "weighted"}
ON_PARAMETERS: dict[str, Any] = {"gradients": "parameters"}


def average() -> WeightAverage:
    return WeightAverage(0.9)


@pytest.mark.parametrize(
    ("name", "options", "engine"),
    [
        ("uncertainty", {}, {"accumulate": 2}),
        ("famo", {}, {"accumulate": 3, "clip_norm": 0.5}),
        ("equal", {}, {"clip_norm": 0.1}),
        ("pcgrad", WEIGHTED, {"accumulate": 2}),
        ("mgda", WEIGHTED | {"update_every": 3}, {"clip_norm": 0.5}),
        ("pcgrad", ON_PARAMETERS | WEIGHTED, {"accumulate": 2}),
        ("mgda", ON_PARAMETERS | {"update_every": 3}, {}),
    ],
)
def test_gradients(
    processes: Processes, name: str, options: Mapping[str, Any], engine: dict[str, Any]
) -> None:
    check_equal(processes, cases.weighting, name, options, engine)


@pytest.mark.parametrize(
    "changes",
    [
        {"make_average": average},
        {"patience": 1},
        {"modality_dropout": ModalityDropout({"x": 0.4, "y": 0.2})},
    ],
    ids=["ema", "early_stopping", "modality_dropout"],
)
def test_fits(processes: Processes, changes: Mapping[str, Any]) -> None:
    check_equal(processes, cases.modalities, changes, {})


def test_bfloat16_is_as_near_as_it_rounds(processes: Processes) -> None:
    engine = {"precision": "bf16"}
    alone = cases.modalities(ALONE, {}, engine)
    for size in SIZES:
        first, *others = processes.run(size, cases.modalities, {}, engine)
        assert_close(alone["model"], first["model"], f"{size} ranks", tolerance=2**-7)
        for other in others:
            assert_close(first, other, tolerance=0.0)


@pytest.mark.parametrize("name", ["equal", "uncertainty", "pcgrad"])
def test_several_data_sets(processes: Processes, name: str) -> None:
    check_equal(processes, cases.data_sets, name)
