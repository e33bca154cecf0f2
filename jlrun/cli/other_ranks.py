"""Ranks of a run on the command line: rank 0 speaks, and what is no run is one process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from jlrun.errors import UserError
from jlrun.ranks.environment import rank, spoken, world_size

_GRACE_SECONDS = 3  # in which rank 0 says what is wrong, and the launcher ends the others


def check_one_process(what: str) -> None:
    """Check that torchrun has started one process.

    Args:
        what: what it was started for, in words.

    Raises:
        UserError: if there are several.
    """
    count = world_size()
    if count > 1:
        raise UserError.of("torchrun", f"{what} is one process, not {count}: leave torchrun out")


@contextmanager
def silent_but_first() -> Iterator[None]:
    """Print nothing on other ranks than the first, unless that has nothing to say of an error."""
    if rank() == 0:
        yield
        return
    errors = StringIO()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(errors):
        yield
    if errors.getvalue() and not spoken.value:
        if not spoken.first_is_gone:
            time.sleep(_GRACE_SECONDS)
        print(
            "".join(f"rank {rank()}: {line}" for line in errors.getvalue().splitlines(True)),
            file=sys.stderr,
            end="",
        )
