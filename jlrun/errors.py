"""Errors a user can cause, reported in one clear block."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Exit codes of the command.
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

_LONG_WORD = re.compile(r"(\S{100})\S{200,}")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config or an input.

    Attributes:
        where: config path, file or option, for example ``optimizer.lr``.
        message: the value found, what was expected and the fix.
    """

    where: str
    message: str

    def __str__(self) -> str:
        where, message = shortened(self.where), shortened(self.message)
        return f"{where}: {message}" if where else message


def shortened(text: str) -> str:
    """Return a message whose overlong words, such as a value of 5,000 letters, are cut."""
    return _LONG_WORD.sub(lambda word: f"{word[1]}… ({len(word[0]):,} characters)", text)


class _OneLine(Exception):
    """Error that notebooks show without a traceback, too."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class UserError(_OneLine, ValueError):
    """The user's config or input is wrong: reported without a traceback, exit code 2."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems, "a user error names at least one problem"
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[UserError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)

    @classmethod
    def of(cls, where: str, message: str) -> UserError:
        """Return an error with a single problem."""
        return cls([Problem(where, message)])


class RunError(_OneLine, RuntimeError):
    """The run failed for a reason that one line explains (out of memory, a loss that is not a
    number): reported without a traceback, exit code 1."""


class Pruned(RunError):
    """The run was one of a search, which ended it because others are better."""


def check_shape(where: str, maker: object, found: object, shape: Sequence[int]) -> None:
    """Check that an object, perhaps of a user's class, returned a tensor of a shape.

    Args:
        where: config path of the object.
        maker: the object.
        found: what it returned.
        shape: expected; empty: a scalar.

    Raises:
        UserError: if it is no tensor, or one of another shape.
    """
    actual = getattr(found, "shape", None)
    if actual == shape or (actual is not None and tuple(actual) == tuple(shape)):
        return
    returned = f"a {type(found).__name__}" if actual is None else f"a tensor of shape {(*actual,)}"
    wanted = f"of shape {(*shape,)}" if shape else "a scalar tensor"
    raise UserError.of(where, f"{type(maker).__name__} returned {returned}, not {wanted}")


def did_you_mean(found: str, valid: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with a leading space, or what there is if nothing is near."""
    names = [str(name) for name in valid]
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Choose from: {', '.join(names)}." if names else ""


class Interrupted(_OneLine):
    """The user stopped the run; a checkpoint has been written. Exit code 130."""


def briefly(function: Callable[P, T]) -> Callable[P, T]:
    """Raise the errors above of a function without the frames within it.

    Their message is all that matters: a script that ends by one shows it below the script's own
    line, not below thirty of jlrun's.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except _OneLine as error:
            raise error.with_traceback(None) from None

    return called


for _kind in (UserError, RunError, Interrupted):  # the names under which programs catch them
    _kind.__module__ = "jlrun"
