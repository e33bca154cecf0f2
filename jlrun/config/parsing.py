"""Overrides one by one: rewritten before Hydra reads them, and parsed.

Hydra reads ``dataset.classes=[1_2,1_1]`` as 12 and 11, and no letter beyond ASCII. In keys that
take names, such words are quoted; plain whole numbers, which may be positions, are left alone.
Marks within a table's numbers are quoted, too.

``datasets=[mnist,usps]`` and ``sources=[…]`` are the short form of a choice of several data sets.
Hydra's own form names each, which lets one data set occur twice with other values::

    '~dataset' '+dataset@datasets.a=imagefolder' '+dataset@datasets.b=imagefolder'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from jlrun.config.hydra_internals import ConfigLoaderImpl, IConfigRepository
from jlrun.config.name_escapes import escaped, place_of, unescape
from jlrun.data.written_names import quoted, setting
from jlrun.errors import Problem

# The last part of keys whose values are names of classes, columns, tasks, modalities or cells.
_LISTS = ("classes", "unseen", "targets", "tasks", "modalities", "positives", "missing", "primary")
_SINGLE = (
    "split_column",
    "group_by",
    "time_by",
    "labels",
    "anchor",
    "conditioned",
    "main",
    "domain",
)
_OTHER = ("pretraining.data",)
_KEY = re.compile(
    rf"[+]{{0,2}}(?:.*\.)?(?P<last>{'|'.join((*_LISTS, *_SINGLE))})|.*(?:{'|'.join(_OTHER)})"
)
# Keys whose value is a mark, which the shell leaves bare: ``dataset.reading.decimal=,``.
_MARKS = re.compile(r"[+]{0,2}(.*\.)?reading\.(decimal|thousands|delimiter)")
_BARE = r"""[^\s,\[\]{}():'"]+"""
_WORD = re.compile(
    rf"""(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?P<word>{_BARE}(\ +{_BARE})*)"""
)
_BEYOND_HYDRA = re.compile(r"[^\\]*[^\w\s/\\+.$%*@?|=~:-][^\\]*", re.ASCII)  # and no escape
_BRACKETED = re.compile(r"""[^\[{'"].*[(\[{].*""")  # names, of which none is a function
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_NUMBER = re.compile(
    r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d[\d_]*)?|true|false|null|[-+]?(nan|inf)",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"\+?(?P<group>datasets|sources)=(?:\[(?P<listed>[\w\s,-]+)\]|(?P<single>[\w-]+))"
)
_IN_PLACE_OF = {"datasets": "dataset", "sources": "dataset@source"}


def parse(
    loader: ConfigLoaderImpl, overrides: Sequence[str], problems: list[Problem]
) -> list[Override]:
    """Parse overrides, adding to ``problems`` those that cannot be."""
    parser = OverridesParser.create(config_loader=loader)
    parsed: list[Override] = []
    for text in quoted_names(expand_datasets(overrides)):
        if text.startswith("="):
            problems.append(Problem(text, "not of the form KEY=VALUE: the key is missing"))
            continue
        if "=" not in text and not text.startswith("~"):
            hint = _as_choice(loader.repository, text)
            problems.append(Problem(text, f"not of the form KEY=VALUE.{hint}"))
            continue
        if "=simplex(" in text:  # written out before a sweep is parsed
            key = text.partition("=")[0]
            problems.append(Problem(key, "simplex(…) is several values: add --multirun"))
            continue
        try:
            parsed += parser.parse_overrides([text])
        except (HydraException, ValueError) as error:
            reason = str(error).splitlines()[0]
            problems.append(Problem(text, f"cannot be read ({reason}): {_fix(parser, text)}"))
    _tell_repeated(parsed, problems)
    return parsed


def _fix(parser: OverridesParser, text: str) -> str:
    """Say how an override is written that can't be read, as a shell takes it."""
    key, _, value = text.partition("=")
    bare = value.strip().strip("'\"")
    if bare[:1] == "[":
        names = (name.strip(" \"'") for name in bare.strip("[]").split(","))
        written = f"[{','.join(quoted(name) for name in names if name)}]"
    elif bare[:1] == "{":
        name, _, entry = bare.strip("{}").rpartition(":")
        written = f"{{{quoted(name.strip())}: {entry.strip()}}}"
    else:
        written = quoted(bare)
    fix = f"quote names and values with special characters: {setting(key, written)}"
    if not _is_read(parser, *quoted_names([f"{key}={written}"])):
        fix = "names with special characters stand in quotes within braces, as in "
        fix += setting("dataset.columns", '{"length (cm)": number}')
    if key.endswith((".decimal", ".thousands", ".delimiter")):
        fix += ", or name it: comma, point, semicolon, tab, space"
    return fix


def _is_read(parser: OverridesParser, text: str) -> bool:
    try:
        parser.parse_overrides([text])
    except (HydraException, ValueError):
        return False
    return True


def _tell_repeated(parsed: Sequence[Override], problems: list[Problem]) -> None:
    texts: dict[str, list[str]] = {}
    for override in parsed:
        place = override.get_key_element() + place_of(text_of(override)).partition("{")[2]
        texts.setdefault(place, []).append(unescape(text_of(override)))
    for place, same in texts.items():
        if len(same) > 1:
            given = " and ".join(f"'{text}'" for text in same)
            problems.append(Problem(unescape(place), f"given {len(same)} times, {given}; keep one"))


def without_sweeps(parsed: Sequence[Override], problems: list[Problem]) -> list[Override]:
    """Return the overrides of a single value, adding the others to ``problems``."""
    for override in parsed:
        if override.is_sweep_override():
            message = (
                "several values: add --multirun to run one job for each, or write a list as [a,b]"
            )
            problems.append(Problem(key_of(override), message))
    return [override for override in parsed if not override.is_sweep_override()]


def key_of(override: Override) -> str:
    """Return the key of an override, with its package and without a leading ``+`` or ``~``."""
    return override.get_key_element().lstrip("+~")


def text_of(override: Override) -> str:
    """Return an override as it was written."""
    assert override.input_line is not None
    return override.input_line


def options_of(repository: IConfigRepository, group: str) -> list[str]:
    """Return the options of a group."""
    options = repository.get_group_options(group, ObjectType.CONFIG)
    return [name for name in options if not name.startswith("_")]


def _as_choice(repository: IConfigRepository, text: str) -> str:
    """Return what the name of a group or an option, alone, may have meant."""
    if repository.group_exists(text):
        choices = ", ".join(f"{text}={option}" for option in options_of(repository, text))
        return f" Choose from: {choices}." if choices else ""
    for group in repository.get_group_options("", ObjectType.GROUP):
        if text in options_of(repository, group):
            return f" Did you mean '{group}={text}'?"
    return " `jlrun help` lists verbs, groups and their options."


def quoted_names(overrides: Sequence[str]) -> list[str]:
    """Return the overrides, names quoted that Hydra would not read as text."""
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, sign, value = override.partition("=")
    if _MARKS.fullmatch(key) and len(value) == 1 and not value.isalnum():
        quote = '"' if value == "'" else "'"
        return f"{key}={quote}{value}{quote}"
    match = _KEY.fullmatch(key)
    if match and match["last"] in _SINGLE and _BRACKETED.fullmatch(value):
        return f"{key}={quoted(value)}"
    key, sign, value = escaped(override).partition("=")
    match = _KEY.fullmatch(key)
    if not sign or match is None or "${" in value:
        return f"{key}{sign}{value}"
    single = match["last"] in _SINGLE
    return f"{key}={''.join(_words(value, single))}"


def _words(value: str, single: bool) -> Iterator[str]:
    end = 0
    for match in _WORD.finditer(value):
        yield value[end : match.start()]
        end = match.end()
        word, before, after = match["word"], value[: match.start()], value[match.end() :].lstrip()
        inside = before.count("[") > before.count("]")
        kept = (
            word is None
            or before.count("{") > before.count("}")
            or after.startswith((":", "("))
            or not (_NUMBER.fullmatch(word) or _BEYOND_HYDRA.fullmatch(word))
            or (_WHOLE.fullmatch(word) and not single)
            or (word.lower() == "null" and not inside)
        )
        yield match[0] if kept else f"'{word}'"
    yield value[end:]


def expand_datasets(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with the short form written out; each data set has its own name."""
    return [text for override in overrides for text in _expanded(override, overrides)]


def _expanded(override: str, overrides: Sequence[str]) -> Iterator[str]:
    match = _LIST.fullmatch(override.strip())
    if match is None:
        yield override
        return
    names = (match["listed"] or match["single"]).split(",")
    group, single = match["group"], _IN_PLACE_OF[match["group"]]
    if not any(re.match(rf"~?{single}(=|$)", other) for other in overrides):
        yield f"~{single}"  # that of the mode
    for name in filter(None, (name.strip() for name in names)):
        yield f"+dataset@{group}.{name}={name}"
