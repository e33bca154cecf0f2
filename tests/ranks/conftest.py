"""The processes of all tests of ranks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Everything that a case needs is imported before the processes are forked.
from tests.ranks import cases, sharded
from tests.ranks.processes import Processes, started

__all__ = ["cases", "sharded"]


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with started() as found:
        yield found
