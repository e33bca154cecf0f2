"""Fitness of classes and functions for a slot, judged before they are called.

What is not allowed is refused: a class of another base, a class of a library from outside the
modules that hold such parts, a function that does not say what it returns. Loaders, and whatever
else reads files or runs them, fit nowhere: they are no parts of a model, of data or of training.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Any, get_origin

from jlrun.config.slots import Slot
from jlrun.config.trust import is_own


def unfit(found: Any, slot: Slot) -> str:
    """Return why the class or function ``found`` does not fit ``slot``; '' if it does."""
    own = is_own(found)
    if not (own or _at_home(found, slot)):
        return _not(slot)
    if inspect.isclass(found):
        fits = _is_one(found, slot) or (own and _is_converted(found, slot))
        return _abstract(found) if fits else _not(slot)
    if not own and found.__qualname__ != found.__name__:  # a method
        return _not(slot)
    if not own and not slot.bases:
        return _not(slot)
    if _returns_one(found, slot, own):
        return ""
    what = slot.bases[0].rpartition(".")[2] if slot.bases else "a class of your own"
    fix = f"def {found.__name__}(…) -> {what}"
    if "return" not in getattr(found, "__annotations__", {}):
        return f"does not say that it returns {slot.what} ({slot.demanded}): write {fix}"
    returned = returned_class(found)
    if returned is not None:
        return f"is a function that returns {returned.__name__}, which {_not(slot)}"
    return f"{_not(slot)}: let the function say that it returns one, {fix}"


def demand(made: Any, path: str, slot: Slot) -> Any:
    """Return ``made``, which the target at ``path`` returned.

    Raises:
        UserError: if it is not what the slot demands.
    """
    from jlrun.errors import UserError

    if not (_is_one(type(made), slot) or _is_converted(type(made), slot)):
        raise UserError.of(path, f"it returned {_kind(made)}, which {_not(slot)}")
    if _is_unprepared_module(made):
        raise UserError.of(path, "its constructor does not call super().__init__()")
    for name, meaning in slot.attributes.items():
        if not hasattr(made, name):
            raise UserError.of(
                path, f"its constructor does not set self.{name}, {meaning}, as {slot.what} must"
            )
    return made


def _is_unprepared_module(made: Any) -> bool:
    """Return whether ``made`` is a module of PyTorch whose constructor was not called."""
    modules = (c for c in type(made).__mro__ if c.__module__ == "torch.nn.modules.module")
    return any(modules) and "_modules" not in vars(made)


def _abstract(found: type) -> str:
    missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
    return f"is abstract: it has no {missing}" if missing else ""


def _not(slot: Slot) -> str:
    return f"is not {slot.what} ({slot.demanded})"


def _kind(made: Any) -> str:
    if made is None:
        return "nothing"
    name = type(made).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _at_home(found: Any, slot: Slot) -> bool:
    """Return whether something that jlrun or another library defines lies where such parts lie."""
    module = f"{found.__module__}."
    if not inspect.isclass(found):
        return bool(slot.home) and module.startswith(f"{slot.home}.")
    if module.startswith("jlrun."):
        return bool(slot.bases) or module.startswith(f"{slot.home}.")
    return any(module.startswith(f"{library}.") for library in slot.libraries)


def _is_one(kind: type, slot: Slot) -> bool:
    if slot.bases:
        return issubclass(kind, tuple(map(_class, slot.bases)))
    return _called_with(kind, len(slot.call))


def _is_converted(kind: type, slot: Slot) -> bool:
    """Return whether a run makes what it needs of objects of a class; imports no library."""
    names = (f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in kind.__mro__)
    return any(name in slot.converted for name in names)


def _called_with(kind: type, count: int) -> bool:
    call = next((vars(c)["__call__"] for c in kind.__mro__ if "__call__" in vars(c)), None)
    if call is None:
        return False
    try:
        inspect.signature(call).bind(*range(count + 1))  # self, too
    except TypeError:
        return False
    return True


def _returns_one(function: Any, slot: Slot, own: bool) -> bool:
    """Return whether the annotation of what a function returns names what the slot demands."""
    returned = returned_class(function)
    if returned is not None:
        return _is_one(returned, slot) or (own and _is_converted(returned, slot))
    text = getattr(function, "__annotations__", {}).get("return")
    paths = (*slot.bases, *(slot.converted if own else ()))
    names = {path.rpartition(".")[2] for path in paths}
    return isinstance(text, str) and text.partition("[")[0].rpartition(".")[2] in names


def returned_class(function: Any) -> type | None:
    """Return the class in the annotation of what a function returns.

    None if there is no annotation, or it names something that is imported for type checkers alone.
    """
    returned = getattr(function, "__annotations__", {}).get("return")
    if isinstance(returned, str):
        module = sys.modules.get(function.__module__)
        try:
            returned = eval(returned, dict(vars(module)) if module else {})
        except Exception:
            return None
    returned = get_origin(returned) or returned  # tuple of tuple[Tensor, Tensor]
    return returned if inspect.isclass(returned) else None


def _class(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
