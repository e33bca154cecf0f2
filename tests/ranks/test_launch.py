"""Leaving the other ranks: which ends also end the group."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from jlrun.errors import Interrupted, RunError, UserError
from jlrun.ranks import launch


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (UserError.of("hydra.run.dir", "holds a run already"), 1),
        (Interrupted("interrupted"), 1),
        (RunError("a disk is full"), 1),
        (ValueError("a fault, collectives may be under way"), 0),
    ],
)
def test_what_all_ranks_may_leave_by_joins_the_threads_of_the_group(
    monkeypatch: pytest.MonkeyPatch, error: Exception, ended: int
) -> None:
    end = Mock()
    monkeypatch.setattr(launch, "world_size", lambda: 2)
    monkeypatch.setattr(launch, "_join", lambda *_: (launch.ALONE, Mock()))
    monkeypatch.setattr(launch, "_end_group", end)
    with pytest.raises(type(error)), launch.joined("cpu", 1):
        raise error
    assert end.call_count == ended


def test_a_group_whose_threads_wait_for_a_rank_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()
    monkeypatch.setattr(launch, "_end_group", waits.wait)
    monkeypatch.setattr(launch, "END_SECONDS", 0.01)
    launch._end_group_soon()
    waits.set()
