"""No public object lacks a docstring; a method that overrides one may have that of its base.

Modules, classes and functions are held by ruff (D100, D101, D103, D104), which knows no bases.
"""

from __future__ import annotations

import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import FunctionType, ModuleType

import jlrun

KINDS = (FunctionType, classmethod, staticmethod, property, cached_property)


def modules() -> Iterator[ModuleType]:
    """Yield the modules of jlrun, all but its entry point."""
    for found in pkgutil.walk_packages(jlrun.__path__, "jlrun."):
        if found.name != "jlrun.__main__":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries, when they are imported
                yield import_module(found.name)


def undocumented(module: ModuleType) -> Iterator[str]:
    """Yield the public methods and properties of a module's classes that nothing documents."""
    for name, cls in vars(module).items():
        if not inspect.isclass(cls) or cls.__module__ != module.__name__ or name[0] == "_":
            continue
        for member, value in vars(cls).items():
            public = member[0] != "_" and getattr(value, "__name__", "") != "<lambda>"  # a field's
            if public and isinstance(value, KINDS) and not documented(cls, member):
                yield f"{module.__name__}.{name}.{member}"


def documented(cls: type, member: str) -> bool:
    """Whether the member, or that of a base which it overrides, has a docstring."""
    found = (vars(base)[member] for base in cls.__mro__ if member in vars(base))
    return any(inspect.getdoc(value) for value in found)


def test_methods_and_properties_have_a_docstring() -> None:
    found = [path for module in modules() for path in undocumented(module)]
    assert found == []


class Bare:
    """A class with a method without a docstring, and one that overrides another."""

    def written(self) -> None:
        """Have a docstring."""

    def bare(self) -> None: ...


class Below(Bare):
    """A class that overrides."""

    def written(self) -> None: ...


def test_one_without_is_found() -> None:
    assert not documented(Bare, "bare")
    assert documented(Bare, "written")
    assert documented(Below, "written")
