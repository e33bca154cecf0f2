"""Say which candidate an error is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jlrun.errors import Problem, UserError


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Let the errors that a user can cause begin with ``name``.

    It takes the place of paths of the config, from which candidates do not come.
    """
    try:
        yield
    except UserError as error:
        raise UserError([_of(name, problem) for problem in error.problems]) from error


def _of(name: str, problem: Problem) -> Problem:
    kept = problem.where and problem.where != name and not problem.where.startswith("backbone.")
    return Problem(f"{name}: {problem.where}" if kept else name, problem.message)
