"""Runs are shown by the names of their folders, baselines as runs of their own."""

from __future__ import annotations

from typing import Any

import pytest
from tensorboard.data.provider import Run, RunTagFilter

from jlrun.reporting.board_runs import ShownRuns, shown_pair

FILES = {
    "tb": {"train/total_loss": 1, "baselines/image/val/digit/accuracy": 2},
    "sweep/0/tb": {
        "val/digit/accuracy": 3,
        "baselines/single_task/digit/val/digit/accuracy": 4,
        "baselines/single_task/digit/test/digit/accuracy": 5,
    },
    "elsewhere": {"loss": 6, "baselines/odd": 7},
}
SHOWN = {
    "mine": {"train/total_loss": 1},
    "mine/image": {"val/digit/accuracy": 2},
    "sweep/0": {"val/digit/accuracy": 3},
    "sweep/0/single_task/digit": {"val/digit/accuracy": 4, "test/digit/accuracy": 5},
    "elsewhere": {"loss": 6, "baselines/odd": 7},
}


class Provider:
    """Data provider over `FILES`."""

    def list_runs(self, ctx: Any = None, *, experiment_id: str) -> list[Run]:
        return [Run(run, run, 1.0) for run in FILES]

    def list_scalars(
        self,
        ctx: Any = None,
        *,
        experiment_id: str,
        plugin_name: str,
        run_tag_filter: RunTagFilter | None = None,
    ) -> dict[str, dict[str, int]]:
        asked = run_tag_filter or RunTagFilter()
        return {
            run: {tag: x for tag, x in tags.items() if asked.tags is None or tag in asked.tags}
            for run, tags in FILES.items()
            if asked.runs is None or run in asked.runs
        }

    def read_scalars(
        self, ctx: Any = None, *, downsample: int, **named: Any
    ) -> dict[str, dict[str, int]]:
        return self.list_scalars(ctx, **named)


@pytest.fixture
def shown() -> ShownRuns:
    return ShownRuns(Provider(), "/some/where/mine")


WHERE = {"experiment_id": "", "plugin_name": "scalars"}


def test_what_is_listed(shown: ShownRuns) -> None:
    assert {run.run_name for run in shown.list_runs(None, experiment_id="")} == {*SHOWN}
    assert shown.list_scalars(None, **WHERE) == SHOWN


def test_what_is_listed_can_be_read(shown: ShownRuns) -> None:
    for run, tags in SHOWN.items():
        for tag, value in tags.items():
            asked = RunTagFilter(runs=[run], tags=[tag])
            found = shown.read_scalars(None, downsample=9, run_tag_filter=asked, **WHERE)
            assert found == {run: {tag: value}}


def test_nothing_else_is_read(shown: ShownRuns) -> None:
    asked = RunTagFilter(runs=["mine/image"], tags=["train/total_loss"])
    assert shown.read_scalars(None, downsample=9, run_tag_filter=asked, **WHERE) == {}
    every = shown.list_scalars(
        None, run_tag_filter=RunTagFilter(tags=["val/digit/accuracy"]), **WHERE
    )
    assert {*every} == {"mine/image", "sweep/0", "sweep/0/single_task/digit"}


def test_names_of_tasks_may_have_slashes() -> None:
    tag = "baselines/single_task/a/b/train/a/b/loss"
    assert shown_pair("x/tb", tag, "top") == ("x/single_task/a/b", "train/a/b/loss")
