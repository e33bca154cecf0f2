"""Filters of runs: ``key=value`` of what a result, its scores, the config or an override has."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import yaml

from jlrun.config.options import package_folder, user_folders
from jlrun.errors import UserError, did_you_mean
from jlrun.files.bounded_text import read_yaml
from jlrun.runs.listing.found import Found

_TEXT = re.compile(r"(?P<key>[^=!<>]+)(?P<sign>!=|>=|<=|=|<|>)(?P<value>.*)", re.DOTALL)
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_OWN = ("status", "kind", "error", "directory", "began")


@dataclass(frozen=True)
class Filter:
    """What a run must have.

    Attributes:
        key: such as ``status``, ``weighting``, ``optimizer.lr`` or ``val/mean_score``.
        sign: ``=``, ``!=``, ``<``, ``>``, ``<=`` or ``>=``.
        value: as text; of ``=`` and ``!=`` several, parted by commas, any of them.
    """

    key: str
    sign: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Return the filter that a text describes.

        Raises:
            UserError: if it is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            message = "expected KEY=VALUE, as in status=failed or 'val/mean_score>0.9'"
            raise UserError.of(text, message)
        found = cls(match["key"].strip(), match["sign"], match["value"].strip())
        if found.sign in _ORDERS and _number(found.value) is None:
            raise UserError.of(text, f"'{found.value}' is no number, which {found.sign} compares")
        return found

    def holds(self, run: Found) -> bool:
        """Return whether a run has it; one without the key has not."""
        values = list(values_of(run, self.key))
        if self.sign in _ORDERS:
            limit, holds = _number(self.value), _ORDERS[self.sign]
            numbers = [number for v in values if (number := _number(v)) is not None]
            return limit is not None and any(holds(number, limit) for number in numbers)
        same = any(_same(v, text) for v in values for text in _alternatives(self.value))
        return same if self.sign == "=" else bool(values) and not same


def matching(runs: Sequence[Found], filters: Sequence[Filter]) -> list[Found]:
    """Return the runs for which all filters hold.

    Raises:
        UserError: for a key that no run has.
    """
    for each in filters:
        check_known(runs, each.key)
    return [run for run in runs if all(each.holds(run) for each in filters)]


def check_known(runs: Sequence[Found], key: str) -> None:
    """Check that some run has a key.

    Raises:
        UserError: if none has, with the nearest that there is.
    """
    if runs and not any(True for run in runs for _ in values_of(run, key)):
        names = dict.fromkeys(name for run in runs for name in _names(run))
        near = did_you_mean(key, names)
        near = near if len(near) < 200 else ""
        raise UserError.of(key, f"no run has this in its result or config.{near}")


def number_of(run: Found, key: str) -> float | None:
    """Return the number of a run that a key names; None if it has none."""
    numbers = (_number(value) for value in values_of(run, key))
    return next((number for number in numbers if number is not None), None)


def values_of(run: Found, key: str) -> Iterator[Any]:
    """Yield what a run has for a key: in its result, and in its overrides or config.

    An option of a group is known by its name: ``weighting=pcgrad``.
    """
    if key == "began":
        yield f"{datetime.fromtimestamp(run.began):%Y-%m-%d %H:%M:%S}"
    elif key in _OWN:
        yield getattr(run, key)
    elif key in run.scores:
        yield run.scores[key]
    else:
        yield from values_at(run.result, key.replace("/", "."))
        yield from _chosen(run, key)


def _names(run: Found) -> Iterator[str]:
    yield from (*_OWN, *run.scores, *run.result, *run.config)
    for name, inner in run.config.items():
        if isinstance(inner, Mapping):
            yield from (f"{name}.{key}" for key in inner)


def _chosen(run: Found, key: str) -> Iterator[Any]:
    """Yield what the overrides say, or else the config."""
    written = [text.lstrip("+").partition("=") for text in run.overrides]
    said = [value for name, _, value in written if name == key]
    yield from said
    for node in values_at(run.config, key.replace("/", ".")):
        target = node.get("_target_") if isinstance(node, Mapping) else None
        if target is None:
            yield node
        elif not said:
            yield from option_names(key, str(target))


def values_at(content: Any, path: str) -> Iterator[Any]:
    """Yield the value at a dotted path, whose names may have dots."""
    if not isinstance(content, Mapping):
        return
    if path in content:
        yield content[path]
        return
    for end in (i for i, sign in enumerate(path) if sign == "."):
        if path[:end] in content:
            yield from values_at(content[path[:end]], path[end + 1 :])


@cache
def option_names(key: str, target: str) -> tuple[str, ...]:
    """Return the options of a group that name a class, or else the class."""
    names = []
    for folder in (package_folder(), *user_folders()):
        for file in sorted((folder / key.replace(".", "/")).glob("[!_]*.yaml")):
            with suppress(UserError):
                content = read_yaml(file)
                if isinstance(content, dict) and content.get("_target_") == target:
                    names.append(file.stem)
    return tuple(names) or (target.rpartition(".")[2],)


def _alternatives(text: str) -> list[str]:
    """Return the values between commas, those in brackets excepted."""
    return re.split(r",(?![^\[]*\])", text)


def _same(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value.casefold() == text.casefold()
    if (number := _number(value)) is not None:  # YAML takes 1e-3 for a text
        return number == _number(text)
    try:
        return bool(value == yaml.safe_load(text))
    except yaml.YAMLError:
        return False


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
