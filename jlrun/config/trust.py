"""Find the object a ``_target_`` names, without importing anything that is not trusted.

A config may come from anyone: a file of a colleague, a saved run. It may only name what lies in a
trusted package, however it is spelt: ``torch.os.system`` lies in ``os``.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from jlrun.config.given import given, is_given, is_of_program, missing
from jlrun.config.suggest import nearest
from jlrun.errors import UserError

BUILT_IN = ("jlrun", "torch", "torchvision", "timm", "torchjd")
VARIABLE = "JLRUN_TRUST"
# What is imported for a config where nobody else has imported it: importing is running, too.
IMPORTED = ("jlrun", "torch.nn", "torch.optim", "torchvision", "timm", "torchjd")


def trusted_packages() -> tuple[str, ...]:
    """Return the names of top-level packages a ``_target_`` may lie in."""
    return (*BUILT_IN, *added_packages())


def added_packages() -> tuple[str, ...]:
    """Return what the user trusts beyond `BUILT_IN`, from the environment (or ``--trust``)."""
    names = os.environ.get(VARIABLE, "").split(",")
    return tuple(name.strip() for name in names if name.strip())


@contextmanager
def also_trusting(packages: Sequence[str]) -> Iterator[None]:
    """Trust ``packages`` too, here and in processes started from here.

    Raises:
        UserError: if one is not the name of a top-level package.
    """
    for name in packages:
        if not name.isidentifier():
            raise UserError.of("--trust", f"'{name}' is not the name of a top-level package")
    before = os.environ.get(VARIABLE)
    if packages:
        os.environ[VARIABLE] = ",".join((*added_packages(), *packages))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def find(path: str) -> Any:
    """Return the class or function at the dotted ``path``, or that was given under it.

    Raises:
        UserError: if it is not in a trusted package or does not exist; its message is for the
            config path of the ``_target_``, which is left empty.
    """
    handed_in = given(path)
    if handed_in is not None:
        return handed_in
    if is_of_program(path):
        raise _wrong(missing(path))
    parts = path.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise _wrong(f"'{path}' is not a dotted path such as my_package.MyEncoder")
    package = parts[0]
    if package not in trusted_packages():
        raise _untrusted(path, package)
    if any(part.startswith("_") for part in parts):
        raise _wrong(f"'{path}' is private: name something public")
    found = _import(package, path)
    for position, part in enumerate(parts[1:], start=1):
        found = _member(found, part, ".".join(parts[:position]), path)
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        raise _wrong(f"'{path}' is neither a class nor a function")
    _check_home(found, path)
    return found


def is_own(found: Any) -> bool:
    """Return whether an object lies in a package that the user trusts, or was given."""
    return top_package(found) in added_packages() or is_given(found)


def top_package(found: Any) -> str:
    """Return the top-level package an object was defined in."""
    return str(getattr(found, "__module__", None) or "").split(".")[0]


def _import(name: str, path: str) -> ModuleType:
    if name in added_packages():
        _search_working_directory()
    if name not in sys.modules and find_spec(name) is None:
        raise _wrong(f"'{path}': there is no package '{name}' here; install it, or check its name")
    return _imported(name, path)


def _search_working_directory() -> None:
    # Last, so that files of the working directory never shadow installed packages.
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())


def _imported(name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise _wrong(f"'{path}': importing '{name}' failed ({reason})") from error


def _member(holder: Any, name: str, holder_path: str, path: str) -> Any:
    if isinstance(holder, ModuleType) and not hasattr(holder, name):
        module = f"{holder.__name__}.{name}"
        if not hasattr(holder, "__path__") or find_spec(module) is None:
            raise _absent(holder, name, holder_path, path)
        if not f"{module}.".startswith(tuple(f"{p}." for p in (*IMPORTED, *added_packages()))):
            raise _wrong(f"'{path}' lies in '{module}', which holds no part of an experiment")
        found: Any = _imported(module, path)
    elif not hasattr(holder, name):
        raise _absent(holder, name, holder_path, path)
    else:
        found = getattr(holder, name)
    if isinstance(found, ModuleType) and found.__name__.split(".")[0] not in trusted_packages():
        raise _untrusted(path, found.__name__)
    return found


def _check_home(found: Any, path: str) -> None:
    """Check that a trusted module defines the object, rather than importing it from elsewhere."""
    home = top_package(inspect.unwrap(found))
    if home not in trusted_packages():
        raise _untrusted(path, home or "another package")


def _absent(holder: Any, name: str, holder_path: str, path: str) -> UserError:
    public = [member for member in dir(holder) if not member.startswith("_")]
    near = nearest(name, public)
    suggestion = f" Did you mean '{holder_path}.{near}'?" if near else ""
    return _wrong(f"'{path}' does not exist: '{holder_path}' has no '{name}'.{suggestion}")


def _untrusted(path: str, package: str) -> UserError:
    what = f"'{path}'" if path.split(".")[0] == package else f"'{path}' lies in '{package}', which"
    top = package.split(".")[0]
    own = top.isidentifier() and top not in sys.stdlib_module_names
    fix = f"; to trust a package of yours, add --trust {top}" if own else ""
    return _wrong(f"{what} is not in a trusted package ({', '.join(trusted_packages())}){fix}")


def _wrong(message: str) -> UserError:
    return UserError.of("", message)
