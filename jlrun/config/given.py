"""Classes and functions that a Python program hands to a run, under the paths that name them.

A config names what it builds by a dotted path. What a notebook or a script defines has one too,
``__main__.MyNet``, but there is no package to find it in: in this process it is looked up here, in
another one it must be given again.
"""

from __future__ import annotations

from typing import Any

_GIVEN: dict[str, Any] = {}


def give(found: Any) -> str:
    """Note a class or function, and return its path; a later one of that path replaces it."""
    path = f"{found.__module__}.{found.__qualname__}"
    _GIVEN[path] = found
    return path


def given(path: str) -> Any | None:
    """Return what was given under a path; None if nothing was."""
    return _GIVEN.get(path)


def is_given(found: Any) -> bool:
    """Return whether an object is one of those that were given."""
    return any(one is found for one in _GIVEN.values())


def is_of_program(path: str) -> bool:
    """Return whether a path names what only the program that defines it has."""
    return path.startswith("__main__.") or "<locals>" in path


def missing(path: str) -> str:
    """Return why what a path names is not here, and how to give it again."""
    name = path.rpartition(".")[2]
    return (
        f"'{path}' was defined in the program that began the run, and is not known here: define it "
        f"again and give it, as in jlrun.load(RUN, parts=[{name}])"
    )
