"""Several recorders as one."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import MagicMock, call

import pytest

from jlrun.reporting.recorders.composite import Recorders
from jlrun.training.recorder import Recorder

METHODS = {
    name: function
    for name, function in inspect.getmembers(Recorder, inspect.isfunction)
    if not name.startswith("_") and name != "recorded"
}


@pytest.mark.parametrize("name", METHODS)
def test_every_call_is_passed_on_in_order(name: str) -> None:
    parts: Any = MagicMock()
    arguments = [object() for _ in list(inspect.signature(METHODS[name]).parameters)[1:]]
    getattr(Recorders([parts.first, parts.second]), name)(*arguments)
    assert parts.mock_calls == [
        getattr(call.first, name)(*arguments),
        getattr(call.second, name)(*arguments),
    ]


def test_what_was_recorded_is_that_of_all_parts() -> None:
    parts: Any = MagicMock()
    parts.first.recorded.return_value = {"metrics.csv": 3}
    parts.second.recorded.return_value = {"tb": 4}
    recorded = Recorders([parts.first, parts.second]).recorded("main")
    assert recorded == {"metrics.csv": 3, "tb": 4}
